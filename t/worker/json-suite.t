# JSONTestSuite (github.com/nst/JSONTestSuite): each text of it is the body of each POST, PUT and
# PATCH of each service. JSON is never refused as malformed, other text is never accepted, and
# nothing breaks.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use Test::More;

use Punit::AuthWorker;
use Punit::FastCGI;
use Punit::Services qw(services);
use Punit::Tree qw(program);
use Punit::Worker;

my $folder = dirname(abs_path(__FILE__)) . '/../../../shared/data/JSONTestSuite/test_parsing';
plan skip_all => 'JSONTestSuite is not there: ../shared/data/JSONTestSuite beside the checkout'
    if !-d $folder;

my %text;
for my $path (glob "$folder/*.json") {
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    $text{ basename $path } = <$file> // '';
}

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $user = 'b0000000-0000-4000-8000-000000000001';
$db->do(q(select auth.assign_buckets('{eu}')));
$db->do('select punit.create_user(?)', undef, $user);

# [METHOD, path] of what takes a body at a service; of what there is one of many, one that is not
# there.
sub takers {
    my ($service) = @_;
    open my $table, '-|', program("punit-$service"), '--routes' or die $!;
    my @takers = map { [(split)[0, 1]] } grep {/^(?:POST|PUT|PATCH) /} <$table>;
    close $table or die "punit-$service --routes: $?";
    $_->[1] =~ s/\{\w+:uuid\}/b0000000-0000-4000-8000-000000000009/ for @takers;
    return
        grep { $_->[1] !~ m{^/auth/logout$|/like$|^/social/following/} } @takers;  # those take none
}

cmp_ok scalar(keys %text), '>', 300, 'all texts are there';
my %kind;
$kind{ substr $_, 0, 1 }++ for keys %text;
ok $kind{y} && $kind{n} && $kind{i}, 'of each kind';

for my $service (services()) {
    my $fcgi =
        $service eq 'auth'
        ? Punit::AuthWorker->new($pg)->fcgi
        : Punit::Worker->new($pg, $service)->{fcgi};
    for (takers($service)) {
        my ($method, $path) = @$_;
        subtest "$method $path" => sub {
            my (%status, @wrong);
            for my $name (sort keys %text) {
                my $a = eval {
                    $fcgi->request(
                        $method => $path, body => $text{$name}, user => $user,
                        roles => 'user coach editor', keep => 1,
                        params => { PUNIT_CLIENT => '' });
                };
                my $status = $a ? $a->{status} : 0;
                push @wrong, "$name: no answer: $@" if !$a;
                push @wrong, "$name: $status" if $status >= 500;
                push @wrong, "$name: refused as malformed" if $name =~ /^y/ && $status == 400;
                push @wrong, "$name: taken for JSON, $status" if $name =~ /^n/ && $status != 400;
                $status{ substr $name, 0, 1 }{$status}++;
            }
            is_deeply \@wrong, [];
            note explain \%status;
        };
    }
}

done_testing;
