# A storm of logins does not starve what needs no password hashing.

use strict;
use warnings;
use Test::More;

use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
$dbh->do(q(select auth.assign_buckets('{eu}')));
my $auth = Punit::AuthWorker->new($pg,
    env => { PUNIT_ARGON_THREADS => 1, PUNIT_ARGON_WAITING => 2, PUNIT_AUTH_NAME_BURST => 100 });
my %ann = (email => 'ann@example.org', password => 'correct horse');

my $me = $auth->post('/auth/register', { %ann, name => 'Ann' })->{json};
my @storm = map { $auth->fcgi->send_only(POST => '/auth/login', body => \%ann) } 1 .. 12;
my $calm = $auth->get('/punit/introspect', Punit::AuthWorker::as($me->{access_token}));
my @answers = map { $auth->fcgi->collect($_) } @storm;

is $calm->{status}, 200, 'in a storm of logins others are answered';
my %count;
$count{ $_->{status} }++ for @answers;
is_deeply [grep { $_ != 200 && $_ != 503 } keys %count], [], 'each login succeeds or is put off';
ok $count{200}, 'some succeed';
ok $count{503}, 'some are put off, the queue being full';
is_deeply [grep { $_->{status} == 503 && !$_->{headers}{'retry-after'} } @answers], [],
    'with a hint when to come back';
is $auth->post('/auth/login', \%ann)->{status}, 200, 'afterwards all is well';

# ---- whether a name exists costs the same: hashing in the same pool, the same statements
%count = ();
@storm = map {
    $auth->fcgi->send_only(POST => '/auth/login',
        body => { %ann, email => "nobody-$_\@example.org" })
} 1 .. 12;
$count{ $auth->fcgi->collect($_)->{status} }++ for @storm;
is_deeply [sort keys %count], [401, 503],
    'names that nobody has wait for the hashing too, or are put off'
    or diag explain \%count;

$dbh->do(q(alter system set log_statement = 'all'));
$dbh->do(q(select pg_reload_conf()));
wait_until(sub { $dbh->selectrow_array('show log_statement') eq 'all' })
    or die 'PostgreSQL does not read its configuration';
# what PostgreSQL was asked while one logs in, without the values
sub asked {
    my ($email) = @_;
    $dbh->do("select 'before $email'");
    is $auth->post('/auth/login', { email => $email, password => 'a wrong horse' })->{status}, 401,
        "$email is refused";
    $dbh->do("select 'after $email'");
    open my $file, '<', $pg->log or die $!;
    local $/;
    my ($part) = <$file> =~ /select 'before \Q$email\E'(.*)select 'after \Q$email\E'/s or return;
    return [$part =~ /LOG:  execute [^:]*: (.*)/g];
}
my ($known, $unknown) = map { asked($_) } 'ann@example.org', 'nobody@example.org';
cmp_ok scalar @$known, '>', 2, 'a login asks PostgreSQL';
is_deeply $unknown, $known, 'for a name that nobody has the same is asked, in the same order';

$dbh->disconnect;
done_testing;
