# Login names: one arbiter for each first byte of a hash, one user for each name.

use strict;
use warnings;
use Test::More;

use Punit::Postgres;
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth');
my $dbh = $pg->dbh;
$dbh->do('create role punit_peer_us login in role punit_peer');

my @user = map { sprintf '%08d-0000-4000-8000-000000000000', $_ } 0 .. 9;
sub hash { sprintf '\x%02x%s', $_[0], 'ab' x 31 }

sub claim {
    my ($handle, @args) = @_;
    my $row = eval {
        $handle->selectrow_arrayref('select user_id, unit from auth.claim_name(?, ?, ?)', undef,
            @args)
    };
    return $row ? "@$row" : $handle->state ? 'SQLSTATE ' . $handle->state : '-';
}

sub buckets {
    return join ' ', map {"$_->[0]:$_->[1]"}
        @{ $dbh->selectall_arrayref('select unit, count(*) from auth.bucket group by 1 order by 1')
        };
}

is claim($dbh, hash(0), $user[0], 'eu'), 'SQLSTATE PU421',
    'without a bucket table nobody is arbiter';

is $dbh->selectrow_array(q(select auth.assign_buckets('{us,eu,ap,us}'))), 256,
    'all buckets are dealt';
is buckets(), 'ap:86 eu:85 us:85', 'evenly, whatever the order of the list';
is $dbh->selectrow_array(q(select auth.assign_buckets('{eu,ap,us}'))), 0,
    'dealing them again changes nothing';

# bucket i goes to the (i mod 3)rd of ap, eu, us
is claim($dbh, hash(1), $user[1], 'eu'), "$user[1] eu", 'a free name is taken';
is claim($dbh, hash(1), $user[1], 'eu'), "$user[1] eu",
    'the same claim again gives the same answer';
is claim($dbh, hash(1), $user[2], 'us'), "$user[1] eu", 'another claim is told the owner';
is claim($dbh, hash(2), $user[2], 'eu'), 'SQLSTATE PU421',
    'a name of another arbiter is not claimed here';
is claim($dbh, '\x00', $user[2], 'eu'), 'SQLSTATE PU500', 'a hash has 32 bytes';

{
    $dbh->do(q(insert into punit.own (user_id, state, epoch) values (?, 'ERASED', 1)),
        undef, $user[3]);
    is claim($dbh, hash(16), $user[3], 'eu'), 'SQLSTATE PU503', 'an erased user gets no name';
    $dbh->do(q(insert into auth.name (hash, user_id, unit) values (?, ?, 'eu')),
        undef, hash(16), $user[3]);
    is claim($dbh, hash(16), $user[2], 'us'), "$user[2] us", 'and keeps none from another user';
    $dbh->do('delete from auth.name where hash = ?', undef, hash(16));
}

my $peer = $pg->dbh('punit_peer_us');
is claim($peer, hash(4), $user[4], 'us'), "$user[4] us", 'a peer claims for itself';
is claim($peer, hash(7), $user[5], 'eu'), '-', 'a peer does not claim for others';
is $dbh->selectrow_array(q{select n from punit.refusal where rule = 'claim-for-another'}), 1,
    'which is counted';
is_deeply $peer->selectrow_arrayref('select user_id, unit, arbiter from auth.find_name(?)', undef,
    hash(1)),
    [$user[1], 'eu', 'eu'], 'a peer finds a name';
is_deeply $peer->selectrow_arrayref('select user_id, unit, arbiter from auth.find_name(?)', undef,
    hash(5)),
    [undef, undef, 'us'], 'a unit that asks for a name of nobody learns its arbiter';
ok !eval { $peer->do('select * from auth.name'); 1 }, 'a peer does not read the table itself';
$peer->disconnect;

# two at the same moment
{
    my ($one, $two) = ($pg->dbh('punit_auth'), $pg->dbh('punit_auth'));
    $one->begin_work;
    is claim($one, hash(10), $user[6], 'eu'), "$user[6] eu", 'one of two claims at once wins';
    use DBD::Pg qw(:async);
    my $sth =
        $two->prepare('select user_id from auth.claim_name(?, ?, ?)', { pg_async => PG_ASYNC });
    $sth->execute(hash(10), $user[7], 'us');
    my $waits =
        sub { $dbh->selectrow_array(q(select count(*) from pg_locks where not granted)) };
    ok wait_until($waits, 10), 'the other waits for it';
    $one->commit;
    $two->pg_result;
    is $sth->fetchrow_array, $user[6], 'and is told the user that has the name';
    $sth->finish;
    $_->disconnect for $one, $two;
}

# a name that another unit authored, as the mesh brings it
$dbh->do(
    'insert into auth.name (origin_unit, hash, user_id, unit) values (?, ?, ?, ?)', undef,
    'us', hash(13), $user[8], 'us'
);
is claim($dbh, hash(13), $user[9], 'eu'), "$user[8] us",
    'a name that an earlier arbiter recorded stays';

$dbh->do(q(select auth.assign_buckets('{ap,eu,us,za}')));
like buckets(), qr/za:6[0-4]/, 'a unit that joins gets its share';
is_deeply $dbh->selectcol_arrayref(
    'select b.bucket from auth.bucket b join auth.name n on get_byte(n.hash, 0) = b.bucket
        where b.unit <> ?',
    undef,
    'eu'
    ),
    [], 'buckets with names stay where they are';
$dbh->do(q(select auth.assign_buckets('{ap,us}', true)));
is buckets(), 'ap:128 us:128', 'unless they are moved on purpose';

# determinism: each unit that has all names comes to the same result
{
    my $fresh = Punit::Postgres->new(unit => 'us')->apply('punit', 'auth');
    my $other = $fresh->dbh;
    $dbh->do('truncate auth.bucket');
    for my $row (
        @{
            $dbh->selectall_arrayref(
                'select origin_unit, hash, user_id, unit, claimed_at from auth.name') })
    {
        my $sth = $other->prepare('insert into auth.name values (?, ?, ?, ?, ?)');
        $sth->bind_param(2, undef, { pg_type => DBD::Pg::PG_BYTEA() });
        $sth->execute(@$row);
    }
    $_->do(q(select auth.assign_buckets('{ap,eu,us}'))) for $dbh, $other;
    my $all = 'select string_agg(bucket || unit, $$ $$ order by bucket) from auth.bucket';
    is $other->selectrow_array($all), $dbh->selectrow_array($all),
        'units with the same names deal the same buckets';
    $other->do('truncate auth.bucket');
    is $other->selectrow_array('select auth.buckets() is null'), 1, 'a unit that is new has none';
    is $other->selectrow_array(
        'select auth.set_buckets(?)', undef,
        scalar $dbh->selectrow_array('select auth.buckets()')
        ),
        256, 'it takes them from a peer';
    is $other->selectrow_array($all), $dbh->selectrow_array($all), 'all of them';
    $other->disconnect;
}

$dbh->disconnect;
done_testing;
