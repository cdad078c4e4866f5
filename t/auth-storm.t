# A storm of logins does not starve what needs no password hashing.

use strict;
use warnings;
use Test::More;

use Punit::AuthWorker;
use Punit::Postgres;

my $pg   = Punit::Postgres->new(unit => 'eu')->apply(Punit::Postgres->files(10, 219));
my $dbh  = $pg->dbh;
$dbh->do(q(select auth.assign_buckets('{eu}')));
my $auth = Punit::AuthWorker->new($pg, env => { PUNIT_ARGON_THREADS => 1, PUNIT_ARGON_WAITING => 2, PUNIT_AUTH_NAME_BURST => 100 });
my %ann  = (email => 'ann@example.org', password => 'correct horse');

my $me = $auth->post('/auth/register', { %ann, name => 'Ann' })->{json};
my @storm = map { $auth->fcgi->send_only(POST => '/auth/login', body => \%ann) } 1 .. 12;
my $calm  = $auth->get('/punit/introspect', Punit::AuthWorker::as($me->{access_token}));
my @answers = map { $auth->fcgi->collect($_) } @storm;

is $calm->{status}, 200, 'in a storm of logins others are answered';
my %count;
$count{ $_->{status} }++ for @answers;
is_deeply [grep { $_ != 200 && $_ != 503 } keys %count], [], 'each login succeeds or is put off';
ok $count{200}, 'some succeed';
ok $count{503}, 'some are put off, the queue being full';
is_deeply [grep { $_->{status} == 503 && !$_->{headers}{'retry-after'} } @answers], [], 'with a hint when to come back';
is $auth->post('/auth/login', \%ann)->{status}, 200, 'afterwards all is well';

$dbh->disconnect;
done_testing;
