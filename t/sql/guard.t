#!/usr/bin/perl
# The guard on users' tables, their tombstones, and what register_user_table refuses.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Postgres;
use Test::More;

my $pg = Punit::Postgres->new;
$pg->apply('punit');
my $dbh = $pg->dbh;
$dbh->do(q{
    set client_min_messages = warning;
    create schema gym;
    grant usage on schema gym to punit_training;
    create table gym.plan (user_id uuid not null, id uuid not null default gen_random_uuid(),
        name text,
        ver bigint not null, primary key (user_id, id));
    create table gym.visit (user_id uuid not null, id uuid not null default gen_random_uuid(),
        plan_id uuid,
        ver bigint not null, primary key (user_id, id),
        foreign key (user_id, plan_id) references gym.plan (user_id,
            id) on delete set null (plan_id));
    create table gym.day (user_id uuid not null, plan_id uuid not null, n int not null,
        at timestamptz not null default now(),
        ver bigint not null, primary key (user_id, plan_id, n),
        foreign key (user_id, plan_id) references gym.plan (user_id, id) on delete cascade);
    create table gym.beat (user_id uuid not null, at timestamptz not null, value real,
        ver bigint not null,
        primary key (user_id, at)) partition by range (at);
    create table gym.beat_all partition of gym.beat default;
    grant select, insert, update, delete on gym.plan, gym.visit, gym.day,
        gym.beat to punit_training;
    select punit.register_user_table('gym.plan');
    select punit.register_user_table('gym.visit');
    select punit.register_user_table('gym.day');
    select punit.register_user_table('gym.beat');
});
my $svc = $pg->dbh('punit_training');
my $fence = q{with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
              where user_id = $1 and state = 'OWNED' returning ver, epoch) };

sub user {
    my ($u) = $dbh->selectrow_array('select gen_random_uuid()');
    $dbh->do('select punit.create_user(?)', undef, $u); $u
}
sub uuid { ($dbh->selectrow_array('select gen_random_uuid()'))[0] }

# Bumps and runs statements in one transaction of the service.
sub write_as_service {
    my ($u, @statements) = @_;
    $svc->begin_work;
    my $ver = ($svc->selectrow_array('select ver from punit.bump(?)', undef, $u))[0];
    my $ok = eval { $svc->do(@$_) for @statements; 1 };
    my ($state, $error) = ($svc->state, $@);
    $ok ? $svc->commit : $svc->rollback;
    return $ok ? ($ver) : (undef, $state, $error);
}

sub refused {
    my ($sql, @bind) = @_;
    my $ok = eval { $svc->do($sql, undef, @bind); 1 };
    return $ok ? 'written' : $svc->state;
}

subtest 'unfenced insert, update and delete are refused' => sub {
    my $u = user();
    my $p = uuid();
    is refused('insert into gym.plan (user_id, id) values (?, ?)', $u, $p), 'PU500', 'insert';
    ok defined(
        (write_as_service(
            $u, ['insert into gym.plan (user_id, id) values (?, ?)', undef, $u, $p]
        ))[0]
        ),
        'fenced insert';
    is refused(q{update gym.plan set name = 'x' where user_id = ?}, $u), 'PU500', 'update';
    is refused('delete from gym.plan where user_id = ?', $u), 'PU500', 'delete';
};

subtest 'a bump of one user lets no row of another in' => sub {
    my ($u, $v) = (user(), user());
    is((write_as_service($u, ['insert into gym.plan (user_id) values (?)', undef, $v]))[1],
        'PU500', 'refused');
};

subtest 'the guard stamps ver whatever the writer says' => sub {
    my $u = user();
    my ($ver) =
        write_as_service($u, ['insert into gym.plan (user_id, ver) values (?, 999)', undef, $u]);
    is_deeply $dbh->selectcol_arrayref('select ver from gym.plan where user_id = ?', undef, $u),
        [$ver], 'the bumped ver';
};

subtest 'the fence as a CTE of the statement is enough for the guard' => sub {
    my $u = user();
    $svc->do($fence . 'insert into gym.plan (user_id) select $1 from fence', undef, $u);
    is_deeply $dbh->selectcol_arrayref('select ver from gym.plan where user_id = ?', undef, $u),
        [1], 'ver 1';
};

subtest 'ON DELETE SET NULL passes and stamps the child' => sub {
    my $u = user();
    my $p = uuid();
    write_as_service(
        $u, ['insert into gym.plan (user_id, id) values (?, ?)', undef, $u, $p],
        ['insert into gym.visit (user_id, plan_id) values (?, ?)', undef, $u, $p]);
    my ($ver) =
        write_as_service($u, ['delete from gym.plan where user_id = ? and id = ?', undef, $u, $p]);
    is_deeply $dbh->selectall_arrayref('select plan_id, ver from gym.visit where user_id = ?',
        undef, $u), [[undef, $ver]],
        'plan gone, ver of the deletion';
};

subtest 'ON DELETE CASCADE passes and leaves a tombstone for each row' => sub {
    my $u = user();
    my $p = uuid();
    write_as_service(
        $u, ['insert into gym.plan (user_id, id) values (?, ?)', undef, $u, $p],
        [
            'insert into gym.day (user_id, plan_id, n) select ?, ?, n from generate_series(1, 3) n',
            undef, $u, $p
        ]);
    my ($ver) =
        write_as_service($u, ['delete from gym.plan where user_id = ? and id = ?', undef, $u, $p]);
    is_deeply $dbh->selectall_arrayref(
        'select tab, pk::text, ver from punit.tomb where user_id = ? order by tab, pk', undef, $u),
        [(map { ['gym.day', qq{["$p", $_]}, $ver] } 1 .. 3), ['gym.plan', qq{["$p"]}, $ver]],
        'four tombstones';
};

subtest 'a key deleted, made again and deleted again in one transaction leaves one tombstone' =>
    sub {
    my $u = user();
    my $p = uuid();
    my @add = ('insert into gym.plan (user_id, id) values (?, ?)', undef, $u, $p);
    my @del = ('delete from gym.plan where user_id = ? and id = ?', undef, $u, $p);
    ok defined((write_as_service($u, [@add], [@del], [@add], [@del]))[0]), 'done';
    is(($dbh->selectrow_array('select count(*) from punit.tomb where user_id = ?', undef, $u))[0],
        1, 'one');
    };

subtest 'user_id and key cannot change' => sub {
    my ($u, $v) = (user(), user());
    write_as_service($u, ['insert into gym.plan (user_id) values (?)', undef, $u]);
    is(
        (
            write_as_service(
                $u, ['update gym.plan set id = gen_random_uuid() where user_id = ?', undef, $u])
        )[1],
        'PU500', 'key'
    );
    is(
        (write_as_service(
            $u, ['update gym.plan set user_id = ? where user_id = ?', undef, $v, $u]
        ))[1],
        'PU500',
        'user_id'
    );
    ok defined(
        (
            write_as_service(
                $u, [q{update gym.plan set name = 'y', id = id where user_id = ?}, undef, $u])
        )[0]
        ),
        'the same key again is no change';
};

subtest 'users\' tables cannot be truncated' => sub {
    ok !eval { $dbh->do('truncate gym.plan cascade'); 1 }, 'refused';
};

subtest 'the statement guard of a partitioned table wants the fence\'s ver' => sub {
    my $u = user();
    my $insert =
        'insert into gym.beat (user_id, at, ver) select ?, now() + n * interval \'1 s\', ?
            from generate_series(1, 5) n';
    is refused($insert, $u, 0), 'PU500', 'unfenced';
    is((write_as_service($u, [$insert, undef, $u, 99]))[1], 'PU500', 'another ver');
    ok defined((write_as_service($u, [$insert, undef, $u, 1]))[0]), 'ver of this bump';
    is((write_as_service($u, ['update gym.beat set value = 1 where user_id = ?', undef, $u]))[1],
        'PU500', 'update without its ver');
    ok defined(
        (
            write_as_service(
                $u, ['update gym.beat set value = 1, ver = 2 where user_id = ?', undef, $u])
        )[0]
        ),
        'update with it';
    my ($ver) = write_as_service($u, ['delete from gym.beat where user_id = ?', undef, $u]);
    is(
        (
            $dbh->selectrow_array(
                'select count(*) from punit.tomb where user_id = ? and ver = ?', undef, $u, $ver
            )
        )[0],
        5,
        'and its deletions leave tombstones by row'
    );
};

subtest 'a service has no rights on partitions, on tombstones, nor to change an owner' => sub {
    my $u = user();
    is refused('insert into gym.beat_all (user_id, at, ver) values (?, now(), 1)', $u), '42501',
        'partition';
    is refused('delete from punit.tomb'), '42501', 'tomb';
    is refused(q{update punit.own set state = 'OWNED' where user_id = ?}, $u), '42501', 'state';
    is refused('update punit.own set epoch = 7 where user_id = ?', $u), '42501', 'epoch';
    is refused('select punit.user_clear(?)', $u), '42501', 'user_clear';
};

my $wrong = 0;
sub refuses {
    my ($what, $columns, $like, $arg) = @_;
    my $t = 'gym.wrong' . ++$wrong;
    $dbh->do("create table $t ($columns)");
    ok !eval { $dbh->do('select punit.register_user_table(?, ?)', undef, $t, $arg); 1 }, $what;
    like $@, $like, 'and says why';
}

subtest 'register_user_table refuses what cannot move' => sub {
    my $c = 'user_id uuid not null, id uuid not null, ver bigint not null';
    refuses('a primary key not led by user_id', "$c, primary key (id)", qr/not led by user_id/);
    refuses('a primary key with user_id second', "$c, primary key (id, user_id)",
        qr/not led by user_id/);
    refuses('another unique key not led by user_id',
        "$c, mail text unique, primary key (user_id, id)", qr/not led by user_id/);
    refuses('no primary key', $c, qr/no primary key/);
    refuses('no user_id', 'id uuid primary key, ver bigint not null', qr/user_id uuid not null/);
    refuses('a nullable ver', 'user_id uuid primary key, ver bigint', qr/ver bigint not null/);
    refuses('an identity column',
        "$c, n bigint generated always as identity, primary key (user_id, id)", qr/sequence/);
    refuses(
        'a foreign key to an unregistered table',
        "$c, w uuid references gym.wrong1 (id), primary key (user_id, id)", qr/foreign key/
    );
    refuses(
        'a foreign key that may cross users',
        "$c, other uuid, p uuid, primary key (user_id, id), foreign key (other,
            p) references gym.plan (user_id, id)",
        qr/foreign key/
    );
    refuses(
        'SET NULL under the statement guard',
        "$c, p uuid, primary key (user_id, id), foreign key (user_id,
            p) references gym.plan (user_id, id) on delete set null (p)",
        qr/statement guard/, 'statement'
    );
    ok !eval { $dbh->do(q{select punit.register_user_table('gym.nowhere')}); 1 },
        'a table that is not there';
    ok !eval { $dbh->do(q{select punit.register_user_table('gym.beat_all')}); 1 }, 'a partition';
};

subtest 'registering again after a change of the table keeps its guard and moves the new column' =>
    sub {
    $dbh->do('alter table gym.plan add column note text');
    $dbh->do(q{select punit.register_user_table('gym.plan')});
    like(($dbh->selectrow_array('select punit.shape()'))[0], qr/^gym\.plan\([^)]*note text/m,
        'the shape names it');
    my $u = user();
    is refused('insert into gym.plan (user_id) values (?)', $u), 'PU500', 'still guarded';
    };

subtest 'owner_of names the owner, or nobody' => sub {
    my $u = user();
    my $of = sub { $dbh->selectrow_arrayref('select * from punit.owner_of(?)', undef, $_[0]) };
    is_deeply $of->($u), ['OWNED', 'eu', 1, 1], 'owned here';
    $dbh->do(
        q{update punit.own set state = 'FENCED', fence_to = 'us',
            fence_epoch = 2 where user_id = ?},
        undef, $u);
    is_deeply $of->($u), ['FENCED', 'us', 2, 1],
        'fenced: the next unit, at the epoch that follows';
    $dbh->do(
        q{update punit.own set state = 'COPY', fence_to = null, fence_epoch = null, epoch = 2,
            owner_hint = 'us'
               where user_id = ?}, undef, $u
    );
    is_deeply $of->($u), ['COPY', 'us', 2, 2], 'retired: the hint, not our own older home row';
    $dbh->do(q{insert into punit.home values ('ap', ?, 3)}, undef, $u);
    is_deeply $of->($u), ['COPY', 'ap', 3, 2], 'the directory knows a later owner';
    is_deeply $of->(uuid()), ['COPY', undef, 0, 0], 'never heard of';
    $dbh->do(q{update punit.own set state = 'ERASED' where user_id = ?}, undef, $u);
    is $of->($u)->[0], 'ERASED', 'erased';
    is $of->($u)->[1], undef, 'belongs to nobody';
};

$_->disconnect for $dbh, $svc;
done_testing;
