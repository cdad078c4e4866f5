#!/usr/bin/perl
# The rules of the wall by themselves: what honest peers say in any order passes, and the next step
# beyond it does not.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Postgres;
use Test::More;

my $pg = Punit::Postgres->new(unit => 'eu');
my ($status, $output) = $pg->punitctl('schema', '--sql', $pg->sql);
is($status, 0, 'the schema is applied') or diag($output);
my $dbh = $pg->dbh;
$dbh->do(q{select punit.add_peer(id, 'host=' || id, null) from unnest('{us,ap}'::text[]) id});
$dbh->do(q{select auth.assign_buckets('{ap,eu,us}')});    # bucket 0: ap, 1: eu, 2: us

sub one { my ($sql, @values) = @_; return ($dbh->selectrow_array($sql, undef, @values))[0] }

# A row as an apply worker of the peer writes it: the rule that refuses it, '' if it is written.
sub apply {
    my ($peer, $sql, @values) = @_;
    my $before = one('select coalesce(sum(n), 0) from punit.refusal');
    $dbh->do('set session_replication_role = replica');
    $dbh->do("set session authorization punit_mesh_$peer");
    my $written = $dbh->do($sql, undef, @values);
    $dbh->do('reset session authorization');
    $dbh->do('set session_replication_role = origin');
    my $rule =
        one('select coalesce(sum(n), 0) from punit.refusal') == $before
        ? ''
        : one('select rule from punit.refusal order by last_at desc limit 1');
    return $written > 0 ? "written $rule" =~ s/ $//r : $rule;
}
sub passes { my ($name, @row) = @_; return is(apply(@row), 'written', $name) }
sub fails { my ($rule, $name, @row) = @_; return is(apply(@row), $rule, "$name: $rule") }

my $next = 0;
sub user { return sprintf '%08d-0000-4000-8000-000000000000', ++$next }

# A user as this unit knows it.
sub own {
    my ($state, $epoch) = @_;
    my $user = user();
    $dbh->do(
        q{insert into punit.own (user_id, state, epoch, ver, fork, fence_to, fence_epoch)
            values ($1, $2, $3::bigint, 1, gen_random_uuid(),
                case $2 when 'FENCED' then 'us' end,
                case $2 when 'FENCED' then $3::bigint + 1 end)}, undef, $user, $state, $epoch
    );
    return $user;
}

# ---- the directory
my $home = q{insert into punit.home (origin_unit, user_id, epoch) values ($1, $2, $3)
    on conflict (origin_unit, user_id) do update set epoch = excluded.epoch};
sub home { my ($peer, $user, $epoch) = @_; return ($peer, $home, $peer, $user, $epoch) }

my $owned = own('OWNED', 5);
passes('a claim of a former owner comes late', home('us', $owned, 4));
fails('home-owned-here', 'the present epoch of a user owned here', home('us', $owned, 5));
fails('home-owned-here', 'the next epoch', home('us', $owned, 6));
my $fenced = own('FENCED', 5);
passes('the new owner of a fenced user', home('us', $fenced, 6));
passes('a unit that has got the user before RETIRE came', home('ap', $fenced, 9));
my $copy = own('COPY', 5);
passes('an owner after the one known', home('us', $copy, 8));
my $erased = own('ERASED', 5);
passes('the last owner of an erased user', home('us', $erased, 5));
fails('home-erased', 'an owner after the erasure', home('us', $erased, 6));
my $new = user();
passes('an unknown user of many moves', home('us', $new, 900_000));
fails('home-epoch', 'of more than there can be', home('us', user(), 1_000_001));
fails('home-epoch', 'a step on the own claim', home('us', $new, 1_000_001));
passes('another unit that is as far', home('ap', $new, 900_001));
passes('and then the next', home('us', $new, 1_900_001));
fails('home-epoch', 'none', home('us', user(), 0));
fails('origin', 'a claim for ap', 'us', $home, 'ap', user(), 1);
fails(
    'origin', 'the deletion of a claim of ap', 'us', q{delete from punit.home
    where origin_unit = 'ap' and user_id = $1}, $new
);
passes(
    'the deletion of its own', 'us', q{delete from punit.home where origin_unit = 'us'
    and user_id = $1}, $new
);

# ---- ended tokens
my $ended = q{insert into auth.ended (origin_unit, kind, subject, gen, exp)
    values ($1, $2, $3, $4, now() + $5::interval)};
sub ended { my ($peer, @values) = @_; return ($peer, $ended, $peer, @values) }
$dbh->do('set session_replication_role = replica');
$dbh->do(
    q{insert into auth.credential (user_id, ver, name_hash, password, gen)
    values ($1, 1, decode(repeat('01', 32), 'hex'), '$argon2id$', 3)}, undef, $owned
);
$dbh->do('set session_replication_role = origin');
passes('the logout of any user', ended('us', 'jti', user(), undef, '15 min'));
passes('the session of any user', ended('us', 'session', user(), undef, '30 days'));
passes('by a clock that is ahead', ended('us', 'jti', user(), undef, '1 h 10 min'));
fails('ended-exp', 'for longer than a token lives', ended('us', 'jti', user(), undef, '2 h'));
fails(
    'ended-exp',
    'for longer than a session lives',
    ended(
        'us', 'session', user(), undef,
        '31 days'
    ));
passes('all tokens of a user, by the owner', ended('us', 'user', $copy, 2, '15 min'));
passes('by a former owner, before the user came here', ended('us', 'user', $owned, 3, '15 min'));
fails(
    'ended-owned-here',
    'tokens that this unit made since',
    ended(
        'us', 'user', $owned, 4,
        '15 min'
    ));
fails(
    'ended-not-owner',
    'by a unit that was no owner',
    ended(
        'us', 'user', own('COPY', 1), 2,
        '15 min'
    ));
fails(
    'ended-gen',
    'of more changes than there can be',
    ended(
        'us', 'user', $copy, 2_000_000,
        '15 min'
    ));

# ---- units
my $unit = q{insert into punit.unit (origin_unit, id, incarnation, retired_at)
    values ($1, $2, coalesce($3, gen_random_uuid()), $4)
    on conflict (origin_unit, id) do update set retired_at = excluded.retired_at};
passes('its own row', 'us', $unit, 'us', 'us', undef, undef);
passes('its leave', 'us', $unit, 'us', 'us', undef, 'now');
$dbh->do(q{delete from punit.unit where origin_unit = 'us'});
fails('unit', 'a unit that has not left', 'us', $unit, 'us', 'mars', undef, undef);
fails(
    'unit', 'the adoption of this unit', 'us', $unit, 'us', 'eu',
    one('select incarnation from punit.me'), 'now'
);
passes('of one that had its id before', 'us', $unit, 'us', 'eu', undef, 'now');
$dbh->do(q{delete from punit.unit where origin_unit = 'us'});

# ---- login names
sub hash { return sprintf '%02x%s', $_[0], sprintf('%02x', $_[1] // 0) x 31 }
my $name = q{insert into auth.name (origin_unit, hash, user_id, unit)
    values ($1, decode($2, 'hex'), $3, $1)};
sub name { my ($peer, $hash, $user) = @_; return ($peer, $name, $peer, $hash, $user) }
passes('a name by its arbiter', name('us', hash(2), user()));
fails('name-author', 'by another', name('us', hash(0), user()));
fails('name-author', 'by another, as this unit\'s', name('us', hash(1), user()));
my $kept = user();
passes('a name of ap', name('ap', hash(0, 7), $kept));
passes('us says that it has adopted ap', 'us', $unit, 'us', 'ap', undef, 'now');
passes('and brings the names of ap', name('us', hash(0, 7), $kept));
passes('and those that had not come', name('us', hash(0, 8), user()));
passes('a name that ap has given', name('ap', hash(0, 9), user()));
fails('name-taken', 'us does not give it to another', name('us', hash(0, 9), user()));
$dbh->do(q{delete from punit.unit where origin_unit = 'us' and id = 'ap'});
fails('name-author', 'without an adoption', name('us', hash(0, 10), user()));
$dbh->do(q{update auth.bucket set unit = 'ap' where bucket = 2});
passes('a former arbiter\'s copy', name('us', hash(2, 11), user()));
passes('and the word of the present one', name('ap', hash(2, 11), user()));
is(
    one('select unit from auth.find_name(decode($1, $2))', hash(2, 11), 'hex'), 'ap',
    'which counts'
);
is(one('select auth.name_authors()::text'), '{"2 us"}', 'units that join are told of the former');

# bucket 4 is that of eu, 5 that of us
$dbh->do(
    q{insert into auth.name (origin_unit, hash, user_id, unit)
    values ('us', decode(repeat('05', 32), 'hex'), $1, 'eu')}, undef, $owned
);
$dbh->do('set session_replication_role = replica');
$dbh->do(
    q{update auth.credential set name_hash = decode(repeat('05', 32), 'hex')
    where user_id = $1}, undef, $owned
);
$dbh->do('set session_replication_role = origin');
my $give = q{update auth.name set user_id = $1 where hash = decode(repeat('05', 32), 'hex')};
my $free = q{delete from auth.name where hash = decode(repeat('05', 32), 'hex')};
fails('name-owned-here', 'the name of a user owned here, for another', 'us', $give, user());
fails('name-owned-here', 'or for nobody', 'us', $free);
$dbh->do(q{update punit.own set state = 'ERASED' where user_id = $1}, undef, $owned);
passes('once the user is erased it is free', 'us', $free);

# ---- tables
$dbh->do(q{create table sports.water (origin_unit text not null default punit.self(), id int,
    primary key (origin_unit, id))});
$dbh->do(q{select punit.register_reference_table('sports.water')});
passes('a table that is registered later', 'us', q{insert into sports.water values ('us', 1)});
fails('origin', 'it is judged too', 'us', q{insert into sports.water values ('ap', 1)});
is(
    one(q{select count(*) from punit.mesh_plan('us', 'eu') m where not exists (
    select from pg_trigger t where t.tgrelid = m.tab and t.tgname = 'punit_wall'
        and t.tgenabled = 'R')}),
    0,
    'every table of the mesh is judged'
);
$dbh->do('drop trigger punit_wall on sports.water');
$dbh->do('select punit.complete_schema()');
fails('origin', 'the trigger comes again', 'us', q{insert into sports.water values ('ap', 1)});
$dbh->do('alter table punit.home disable trigger punit_wall');
ok(!eval { $dbh->do('select punit.complete_schema()') }, 'a table that nobody judges is an error');
like($@, qr/punit\.home are not judged/, 'which names it');
$dbh->do('alter table punit.home enable replica trigger punit_wall');
$dbh->do(q{delete from punit.reference_table where tab = 'sports.water'});

# ---- this unit's own sessions
$dbh->do('set session_replication_role = replica');
is($dbh->do($home, undef, 'ap', user(), 2**40), 1, 'a session of this unit is not judged');
$dbh->do('set session_replication_role = origin');

# ---- an upgrade
$dbh->do('drop role punit_mesh_us');
$dbh->do(q{create subscription punit_from_us connection 'host=us' publication p
    with (connect = false, slot_name = none)});
$dbh->do('select punit.complete_schema()');
my $role = q{select r.rolname || ' ' || r.rolsuper from pg_subscription s
    join pg_roles r on r.oid = s.subowner where s.subname = 'punit_from_us'};
is(one($role), 'punit_mesh_us false', 'punitctl schema gives a subscription to its role');
$dbh->do('select punit.complete_schema()');
is(one($role), 'punit_mesh_us false', 'once');
$dbh->do('drop subscription punit_from_us');
ok(one(q{select punit.drop_peer('us')}), 'a peer is dropped');
is(one(q{select count(*) from pg_roles where rolname = 'punit_mesh_us'}), 0, 'with its role');

done_testing();
