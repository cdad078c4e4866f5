# The arbiter at a peer is asked over TLS; both sides show certificates.

use strict;
use warnings;
use Test::More;

use Punit::Authority;
use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Server qw(directory);

my $dir = directory('tls');
my %authority = map { $_ => Punit::Authority->new($dir, $_) } qw(ca other);
$authority{ca}->certify($_) for qw(eu us ap);
$authority{other}->certify('forged', 'eu');

my $us = Punit::Postgres->new(unit => 'us', tls => $authority{ca}->files('us'))
    ->apply('punit', 'auth', 'profile');
my $eu = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
$us->know($eu);
$eu->know($us);
my $dbh = $eu->dbh;
my $there = $us->dbh;
$_->do(q(select auth.assign_buckets('{us}'))) for $dbh, $there;
sub peer { $dbh->do(q(update punit.peer set pg = ? where id = 'us'), undef, $_[0]) }

my $n = 0;
sub register {
    my ($cert, $ca) = @_;
    my $worker = Punit::AuthWorker->new($eu, env => { $authority{$ca}->environment($cert) });
    my $answer = $worker->post(
        '/auth/register',
        { email => 'user' . ++$n . '@example.org', password => 'correct horse', name => 'U' });
    $worker->stop;
    return $answer->{status};
}

peer($us->peer_conninfo(1));
is register('eu', 'ca'), 201,
    'a conninfo without TLS settings and role is completed with this unit\'s';
is $there->selectrow_array('select string_agg(unit, $$ $$) from auth.name'), 'eu',
    'the name is recorded there';
is register('forged', 'ca'), 503, 'a certificate of another authority is not taken by the arbiter';
is register('ap', 'ca'), 503, 'nor that of another unit';
is register('eu', 'other'), 503,
    'an arbiter that this unit\'s authority has not certified is not asked';
(my $wrong = $us->peer_conninfo(1)) =~ s/host=us/host=ap/;
peer($wrong);
is register('eu', 'ca'), 503, 'nor one that shows the name of another unit';
peer($us->peer_conninfo(1) . ' no_such_option=1');
is register('eu', 'ca'), 503, 'a malformed conninfo is as good as a peer that does not answer';
is $there->selectrow_array('select count(*) from auth.name'), 1, 'none of these recorded a name';
is $dbh->selectrow_array('select count(*) from punit.own'), 1, 'or made a user';

$_->disconnect for $dbh, $there;
done_testing;
