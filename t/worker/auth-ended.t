# auth.ended: what revokes tokens, and how the grid hears of it.

use strict;
use warnings;
use Test::More;

use Punit::Postgres;
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth');
my $dbh = $pg->dbh;
my $auth = $pg->dbh('punit_auth');
my ($jti, $sid, $user) = map {"$_$_$_$_$_$_$_$_-0000-4000-8000-000000000000"} 1 .. 3;

sub active {
    return $auth->selectrow_array('select auth.is_active(?, ?, ?, ?)', undef, @_)
        ? 'active'
        : 'revoked';
}

sub heard {
    my $notified = wait_until(sub { $dbh->pg_notifies }, 10) or return 'nothing';
    return $notified->[2];
}

$dbh->do('listen punit_ended');

is active($jti, $sid, $user, 1), 'active', 'a token of which nothing is known is good';
is active(undef, undef, undef, undef), 'active', 'so is one that says nothing';

$auth->do(q(select auth.record_end('jti', ?, null, to_timestamp(4000000000))), undef, $jti);
is heard(), "jti $jti 4000000000", 'the end of a token is announced';
is active($jti, $sid, $user, 1), 'revoked', 'it is revoked';
is active($sid, $sid, $user, 1), 'active', 'others are not';

$auth->do(q(select auth.record_end('session', ?, null, to_timestamp(4000000000.5))), undef, $sid);
is heard(), "session $sid 4000000001", 'the end of a session is announced';
is active($user, $sid, $user, 1), 'revoked', 'all its tokens are revoked';

$auth->do(q(select auth.record_end('user', ?, 3, to_timestamp(4000000000))), undef, $user);
is heard(), "user $user 4000000000 3", 'the end of a generation is announced';
is active(undef, undef, $user, 2), 'revoked', 'tokens of a lower generation are revoked';
is active(undef, undef, $user, 3), 'active', 'tokens of this one are good';

$dbh->do(q(set session_replication_role = replica));
$dbh->do(
    q(insert into auth.ended (origin_unit, kind, subject, exp)
        values ('us', 'jti', ?, to_timestamp(4000000000))),
    undef, $user
);
$dbh->do(q(set session_replication_role = origin));
is heard(), "jti $user 4000000000", 'what the mesh brings is announced too';

$dbh->do(q(insert into auth.ended (origin_unit, kind, subject, exp)
           select u, 'jti', gen_random_uuid(), now() - interval '1 hour'
               from unnest('{eu,us}'::text[]) u,
                  generate_series(1, 30)));
$auth->do(q(select auth.record_end('jti', gen_random_uuid(), null, now() + interval '1 hour')))
    for 1 .. 2;
is_deeply $dbh->selectall_arrayref(
    'select origin_unit, count(*) from auth.ended where exp < now() group by 1 order by 1'
    ),
    [['us', 30]],
    'what has expired goes, where it came from';

ok !eval {
    $auth->do(
        q(insert into auth.ended (kind, subject, exp) values ('jti', gen_random_uuid(), now()))); 1
},
    'the service does not write the table itself';

$_->disconnect for $auth, $dbh;
done_testing;
