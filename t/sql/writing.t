#!/usr/bin/perl
# Why whatever reads another row of the user is a function that bumps first: the rest of a
# one-statement write sees the snapshot from before it waited. Each trap is shown to bite in the CTE
# form and to be safe in the function form.
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
        n int, body text,
        ver bigint not null, primary key (user_id, id));
    select punit.register_user_table('note.item');

    create function note.put(p_user uuid) returns bigint language plpgsql as $$
    begin
        perform punit.bump(p_user);
        insert into note.item (user_id, body) values (p_user, 'put');
        return 1;
    end $$;

    create function note.delete_all(p_user uuid) returns bigint language plpgsql as $$
    begin
        perform punit.bump(p_user);
        delete from note.item where user_id = p_user;
        return 1;
    end $$;

    create function note.put_within(p_user uuid, p_quota int) returns bigint language plpgsql as $$
    begin
        perform punit.bump(p_user);
        if (select count(*) from note.item where user_id = p_user) >= p_quota then
            return 0;
        end if;
        insert into note.item (user_id, body) values (p_user, 'quota');
        return 1;
    end $$;

    create function note.put_next(p_user uuid) returns bigint language plpgsql as $$
    begin
        perform punit.bump(p_user);
        insert into note.item (user_id, n)
        select p_user, coalesce(max(n), 0) + 1 from note.item where user_id = p_user;
        return 1;
    end $$;

    create function note.put_once(p_user uuid, p_key text) returns int language plpgsql as $$
    declare f record; d record; sha bytea := sha256('body');
    begin
        select * into f from punit.bump(p_user);
        select * into d from punit.dedup_find(p_user, p_key, 'POST /notes', sha);
        if found then return d.status; end if;
        insert into note.item (user_id, body) values (p_user, p_key);
        perform punit.dedup_store(p_user, p_key, 'POST /notes', sha, f.ver, 201, '{}');
        return 1;
    end $$;
});

my $bump = q{with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
                            where user_id = $1 and state = 'OWNED' returning ver, epoch) };

sub user {
    my ($u) = $dbh->selectrow_array('select gen_random_uuid()');
    $dbh->do('select punit.create_user(?)', undef, $u); $u
}
sub items {
    my ($u) = @_;
    ($dbh->selectrow_array('select count(*) from note.item where user_id = ?', undef, $u))[0]
}

# Two writers of one user: the first holds the fence, the second waits for it, the first commits.
sub race {
    my ($u, $first, $second, @bind) = @_;
    my ($a, $b) = map { Punit::Session->new($pg) } 1 .. 2;
    $a->do('begin');
    $a->do($first, $u, @bind);
    $b->send($second, $u, @bind);
    ok $b->wait_blocked, 'the second writer waits for the first';
    $a->do('commit');
    return $b->rows;
}

subtest 'delete-all takes a row inserted while it waited, in the function form' => sub {
    my $u = user();
    race($u, 'select note.put($1)', 'select note.delete_all($1)');
    is items($u), 0, 'nothing left';
};

subtest 'broken: delete-all in the CTE form spares that row' => sub {
    my $u = user();
    race($u, 'select note.put($1)',
        $bump . 'delete from note.item i using fence where i.user_id = $1');
    is items($u), 1, 'the row survives';
};

subtest 'a quota holds for two writers at once, in the function form' => sub {
    my $u = user();
    race($u, 'select note.put_within($1, 1)', 'select note.put_within($1, 1)');
    is items($u), 1, 'one row';
};

subtest 'broken: the quota is passed in the CTE form' => sub {
    my $u = user();
    my $put = $bump . q{insert into note.item (user_id, body) select $1, 'q' from fence
                        where (select count(*) from note.item where user_id = $1) < 1};
    race($u, $put, $put);
    is items($u), 2, 'two rows';
};

subtest 'max+1 is drawn once for each of two writers, in the function form' => sub {
    my $u = user();
    race($u, 'select note.put_next($1)', 'select note.put_next($1)');
    is_deeply $dbh->selectcol_arrayref('select n from note.item where user_id = ? order by n',
        undef, $u), [1, 2], '1 and 2';
};

subtest 'broken: max+1 is drawn twice in the CTE form' => sub {
    my $u = user();
    my $put = $bump
        . q{insert into note.item (user_id, n) select $1, (select coalesce(max(n), 0) + 1
            from note.item
                        where user_id = $1) from fence};
    race($u, $put, $put);
    is_deeply $dbh->selectcol_arrayref('select n from note.item where user_id = ? order by n',
        undef, $u), [1, 1], '1 and 1';
};

subtest 'a repeated request is done once, in the function form' => sub {
    my $u = user();
    my $got = race($u, q{select note.put_once($1, 'k') r}, q{select note.put_once($1, 'k') r});
    is $got->[0]{r}, 201, 'the second has the answer of the first';
    is items($u), 1, 'one row';
};

subtest 'broken: the dedup answer reads empty in the CTE form' => sub {
    my $u = user();
    my $put = $bump
        . q{, once as (insert into punit.dedup (user_id, request_id, route, body_sha256, ver,
            status)
                                   select $1, 'k', gen_random_uuid()::text, sha256('body'), ver, 201
                                       from fence)
                        insert into note.item (user_id, body) select $1, 'x' from fence
                        where not exists (select from punit.dedup d where d.user_id = $1
                            and d.request_id = 'k')};
    race($u, $put, $put);
    is items($u), 2, 'done twice';
};

subtest 'the same key with another body is a conflict' => sub {
    my $u = user();
    $dbh->do(q{select note.put_once(?, 'k')}, undef, $u);
    my $d = $dbh->selectrow_hashref(
        q{select * from punit.dedup_find(?, 'k', 'POST /notes', sha256('other'))}, undef, $u);
    is_deeply $d, { status => 422, body => undef, problem => 'key-reused' },
        'and the answer given then is not shown';
};

subtest 'no key finds and stores nothing' => sub {
    my $u = user();
    $dbh->do(q{select punit.dedup_store(?, null, 'r', sha256(''), 1, 201, '')}, undef, $u);
    is_deeply $dbh->selectall_arrayref(q{select * from punit.dedup_find(?, null, 'r', sha256(''))},
        undef, $u), [], 'nothing';
};

subtest 'dedup_store outside a bumping transaction is refused' => sub {
    my $u = user();
    ok !eval {
        $dbh->do(q{select punit.dedup_store(?, 'k', 'r', sha256(''), 0, 201, '')}, undef, $u); 1
    }, 'refused';
    is $dbh->state, 'PU500', 'as an unfenced write';
};

subtest 'an answer older than 24 h is forgotten and can be given anew' => sub {
    my $u = user();
    $dbh->do(q{select note.put_once(?, 'k')}, undef, $u);
    $dbh->do(q{update punit.dedup set created_at = now() - interval '25 hours' where user_id = ?},
        undef, $u);
    is(($dbh->selectrow_array(q{select note.put_once(?, 'k')}, undef, $u))[0], 1, 'done again');
    is items($u), 2, 'two rows';
};

$dbh->disconnect;
done_testing;
