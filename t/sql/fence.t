#!/usr/bin/perl
# Two sessions, a writer and FENCE: in the forms that PROTOCOL.md allows no write slips past FENCE,
# in the forms that it forbids one does (so these tests can fail).
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Postgres;
use Punit::Session;
use Test::More;

my $pg = Punit::Postgres->new;
$pg->apply('punit');
my $dbh = $pg->dbh;
$dbh->do(q{
    set client_min_messages = warning;
    create schema note;
    create table note.item (user_id uuid not null, id uuid not null default gen_random_uuid(),
        body text,
        ver bigint not null, primary key (user_id, id));
    select punit.register_user_table('note.item');
    create function note.add(p_user uuid,
        p_body text) returns table (epoch bigint) language plpgsql as $$
    declare f record;
    begin
        select * into f from punit.bump(p_user);
        if not found then return; end if;
        insert into note.item (user_id, body) values (p_user, p_body);
        return query select f.epoch;
    end $$;
    -- no guard on these: the broken forms must be free to break
    create table note.loose (user_id uuid not null, body text);
    create table note.watched (user_id uuid not null, body text);
    create function note.check_owned() returns trigger language plpgsql as $$
    begin
        if not exists (select from punit.own o where o.user_id = new.user_id
            and o.state = 'OWNED') then
            raise exception 'not owned';
        end if;
        return new;
    end $$;
    create trigger watched before insert on note.watched for each row
        execute function note.check_owned();
});

my $fence = q{update punit.own set state = 'FENCED', fence_to = 'us', fence_epoch = epoch + 1
              where user_id = $1 and state = 'OWNED' and epoch = 1 returning ver};
my $cte = q{with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
                           where user_id = $1 and state = 'OWNED' returning ver, epoch),
            w as (insert into note.item (user_id, body) select $1, 'x' from fence returning id)
            select fence.epoch, w.id from (select) one left join fence on true left join w on true};
my $function = q{select * from note.add($1, 'x')};

sub user {
    my ($u) = $dbh->selectrow_array('select gen_random_uuid()');
    $dbh->do('select punit.create_user(?)', undef, $u); $u
}
sub count_of {
    my ($t, $u) = @_;
    ($dbh->selectrow_array("select count(*) from $t where user_id = ?", undef, $u))[0]
}

for (['the CTE form', $cte], ['the function form', $function]) {
    my ($name, $write) = @$_;

    subtest "FENCE waits for a running writer in $name, and its next statement sees the write" =>
        sub {
        my $u = user();
        my ($w, $f) = map { Punit::Session->new($pg) } 1 .. 2;
        $w->do('begin');
        is $w->do($write, $u)->[0]{epoch}, 1, 'the writer has the fence';
        $f->do('begin');
        $f->send($fence, $u);
        ok $f->wait_blocked, 'FENCE waits';
        $w->do('commit');
        is $f->rows->[0]{ver}, 1, 'FENCE has the ver of the write';
        is $f->do('select count(*) n from note.item where user_id = $1 and ver = 1', $u)->[0]{n}, 1,
            'the write is in the final read';
        $f->do('rollback');
        };

    subtest "a writer in $name that waited for FENCE writes nothing and gets no fence row" => sub {
        my $u = user();
        my ($w, $f) = map { Punit::Session->new($pg) } 1 .. 2;
        $f->do('begin');
        $f->do($fence, $u);
        $w->send($write, $u);
        ok $w->wait_blocked, 'the writer waits for FENCE';
        $f->do('commit');
        my $got = $w->rows;
        is $got->[0]{epoch}, undef, 'no fence row';
        is count_of('note.item', $u), 0, 'nothing written';
        is(($dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $u))[0], 0,
            'ver stays');
    };

    subtest "two writers in $name get versions in the order of their commits" => sub {
        my $u = user();
        my ($a, $b) = map { Punit::Session->new($pg) } 1 .. 2;
        $a->do('begin');
        $a->do($write, $u);
        $b->send($write, $u);
        ok $b->wait_blocked, 'the second waits for the first';
        $a->do('commit');
        is $b->rows->[0]{epoch}, 1, 'then it has the fence';
        is_deeply $dbh->selectcol_arrayref(
            'select ver from note.item where user_id = ? order by ver', undef, $u), [1, 2],
            'versions 1 and 2';
    };

    subtest "a writer in $name that rolls back leaves no version behind" => sub {
        my $u = user();
        my $w = Punit::Session->new($pg);
        $w->do('begin');
        $w->do($write, $u);
        $w->do('rollback');
        is(($dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $u))[0], 0,
            'ver stays');
        is count_of('note.item', $u), 0, 'no row';
    };
}

subtest 'broken: FOR KEY SHARE lets a write slip past FENCE' => sub {
    my $u = user();
    my ($w, $f) = map { Punit::Session->new($pg) } 1 .. 2;
    $w->do('begin');
    $w->do(
        q{insert into note.loose select $1, 'x' from (select from punit.own
             where user_id = $1 and state = 'OWNED' for key share) o}, $u
    );
    $f->do('begin');
    $f->send($fence, $u);
    ok !$f->wait_blocked, 'FENCE does not wait';
    $f->rows;
    is $f->do('select count(*) n from note.loose where user_id = $1', $u)->[0]{n}, 0,
        'the final read misses the write';
    $f->do('commit');
    $w->do('commit');
    is count_of('note.loose', $u), 1, 'which then commits: lost';
};

subtest 'broken: a trigger with a plain SELECT lets a write slip past FENCE' => sub {
    my $u = user();
    my ($w, $f) = map { Punit::Session->new($pg) } 1 .. 2;
    $w->do('begin');
    $w->do(q{insert into note.watched values ($1, 'x')}, $u);
    $f->do('begin');
    $f->send($fence, $u);
    ok !$f->wait_blocked, 'FENCE does not wait';
    $f->rows;
    is $f->do('select count(*) n from note.watched where user_id = $1', $u)->[0]{n}, 0,
        'the final read misses the write';
    $f->do('commit');
    $w->do('commit');
    is count_of('note.watched', $u), 1, 'which then commits: lost';
};

subtest 'broken: advisory lock and check in one statement lets a write slip past FENCE' => sub {
    my $u = user();
    my ($w, $f) = map { Punit::Session->new($pg) } 1 .. 2;
    $f->do('begin');
    $f->do('select pg_advisory_xact_lock(hashtextextended($1::text, 0))', $u);
    $f->do($fence, $u);
    $w->send(
        q{with l as materialized (select pg_advisory_xact_lock_shared(hashtextextended($1::text,
            0)))
               insert into note.loose select $1::uuid, 'x' from l, punit.own o
               where o.user_id = $1::uuid and o.state = 'OWNED'}, $u
    );
    ok $w->wait_blocked, 'the writer waits for the lock';
    is $f->do('select count(*) n from note.loose where user_id = $1', $u)->[0]{n}, 0,
        'the final read';
    $f->do('commit');
    $w->rows;
    is count_of('note.loose', $u), 1,
        'its snapshot is from before the wait: it still sees OWNED and writes';
};

$dbh->disconnect;
done_testing;
