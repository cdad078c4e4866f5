#!/usr/bin/perl
# Real movers between real PostgreSQLs: a user moves, comes back, is asked for, is refused.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Punit::Tries;
use Test::More;

my $x = Punit::MoveUnits->new(qw(eu us));
my $eu = $x->mover('eu');
my $us = $x->mover('us');

subtest 'the first foreign request brings a warm copy, and only that' => sub {
    my $u = $x->user(eu => 5);
    $us->foreign($u, 'eu', 1, 1);
    is $x->wait_state(us => $u, 'COPY 0'), 'COPY 0', 'a copy at us';
    $x->wait_until('the rows', sub { $x->digest(us => $u) eq $x->digest(eu => $u) });
    is $x->state(eu => $u), 'OWNED 1', 'eu still owns the user';
    is $x->record(us => $u)->{phase}, 'copy', 'the record says so';
};

my $u = $x->user(eu => 250);

subtest 'a user moves in full' => sub {
    my $r = $x->cross(eu => us => $u);
    is $x->state(us => $u), 'OWNED 2', 'us owns the user at the next epoch';
    is $x->state(eu => $u), 'COPY 2', 'eu has a copy';
    is $x->digest(us => $u), $x->digest(eu => $u), 'with the same rows';
    is $r->{mode}, 'full', 'in full';
    is $r->{rows_sent}, 250, 'every row once';
    is $r->{result}, 'moved', 'moved';
    ok $r->{activated_at} ge $r->{fenced_at}, 'times are noted';
    is $x->one(us => q{select unit from punit.owner_of(?)}, $u), 'us', 'and known';
    is $x->one(eu => q{select unit from punit.owner_of(?)}, $u), 'us', 'at both units';
};

subtest 'the user comes back with only what changed abroad, deletions included' => sub {
    $x->write(
        us => $u, q{insert into note.item (user_id, n) values ($1, 1000)},
        q{update note.item set body = 'changed'
        where user_id = $1 and n in (7, 8)},
        'delete from note.item where user_id = $1 and n between 100 and 109'
    );
    my $r = $x->cross(us => eu => $u);
    is $r->{mode}, 'delta', 'a delta';
    is $r->{rows_sent}, 13, '3 rows and 10 tombstones';
    is $r->{tombs}, 10, 'of which 10 are tombstones';
    is $x->one(eu => 'select count(*) from note.item where user_id = ?', $u), 241,
        '250 + 1 - 10 rows';
    is $x->digest(us => $u), $x->digest(eu => $u), 'the same rows at both';
};

subtest 'nothing changed: nothing is sent' => sub {
    my $r = $x->cross(eu => us => $u);
    is $r->{rows_sent}, 0, 'no row';
    is $r->{mode}, 'delta', 'a delta';
};

subtest
    'a key deleted and made again, and values swapped under a second unique key, arrive as they are'
    => sub {
    my $w = $x->user(eu => 3);
    $x->cross(eu => us => $w);
    my $id = $x->one(us => 'select id from note.item where user_id = ? and n = 1', $w);
    $x->write(us => $w, 'delete from note.item where user_id = $1 and n = 1');
    $x->write(us => $w,
        "insert into note.item (user_id, id, n, body) values (\$1, '$id', 1, 'again')");
    $x->write(us => $w, 'update note.item set n = -n where user_id = $1 and n in (2, 3)');
    $x->write(us => $w,
        'update note.item set n = case n when -2 then 3 else 2 end where user_id = $1 and n < 0');
    my $r = $x->cross(us => eu => $w);
    is $x->one(eu => 'select body from note.item where user_id = ? and n = 1', $w), 'again',
        'made again';
    is $x->digest(us => $w), $x->digest(eu => $w), 'the same rows at both';
    };

subtest 'what a cascade deleted is deleted at the copy' => sub {
    my $w = $x->user(eu => 0);
    my $b = $x->one(eu => 'select gen_random_uuid()');
    $x->write(
        eu => $w, "insert into note.book values (\$1, '$b', 'diary', 0)",
        "insert into note.item (user_id, n, book_id) select \$1, i, '$b'
            from generate_series(1, 4) i"
    );
    $x->cross(eu => us => $w);
    $x->write(us => $w, "delete from note.book where user_id = \$1 and id = '$b'");
    $x->cross(us => eu => $w);
    is $x->one(eu => 'select count(*) from note.item where user_id = ?', $w), 0, 'no items';
    is $x->one(eu => 'select count(*) from note.book where user_id = ?', $w), 0, 'no book';
};

subtest 'an idempotency record is found at the new owner' => sub {
    my $w = $x->user(eu => 0);
    $x->write(eu => $w,
        q{select punit.dedup_store($1, 'key', 'POST /x', sha256('b'), 1, 201, '{}')});
    $x->cross(eu => us => $w);
    is $x->one(us => q{select status from punit.dedup_find(?, 'key', 'POST /x', sha256('b'))}, $w),
        201, 'found';
};

some_subtest 'local activity at the owner makes FENCE BUSY until the user is quiet' => sub {
    my $w = $x->user(eu => 1);
    $us->stop;
    delete $x->{mover}{us};
    $us = $x->mover('us', PUNIT_MOVE_QUIET => '2s');
    $eu->local($w);
    $x->wait_until('the report',
        sub { $x->one(eu => 'select count(*) from punit.local_seen where user_id = ?', $w) });
    $us->foreign($w, 'eu', 1, 2);
    $x->wait_until('the copy', sub { $x->state(us => $w) ne '-' });
    is $x->state(eu => $w), 'OWNED 1', 'not moved at once';
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'moved once quiet';
    my $age =
        $x->one(us =>
            'select extract(epoch from activated_at - started_at) from punit.move
                where user_id = ? ',
        $w);
    cmp_ok $age, '>', 1, 'after the time of quiet';
};

subtest 'a user that goes back after the last request here is not taken' => sub {
    my $w = $x->user(eu => 1);
    $x->db('eu')
        ->do(q{insert into punit.local_seen values (?, now() + interval '1 hour')}, undef, $w);
    $us->foreign($w, 'eu', 1, 2);
    $x->wait_until('the copy', sub { $x->state(us => $w) ne '-' });
    $x->db('eu')->do('delete from punit.local_seen where user_id = ?', undef, $w);
    # nothing is scheduled: another user's whole move passes meanwhile
    $x->cross(eu => us => $x->user(eu => 1));
    is $x->state(eu => $w), 'OWNED 1', 'eu owns the user';
    $us->foreign($w, 'eu', 1, 2);
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'two more requests call the user again';
};

some_subtest 'a user that flips stays longer each time' => sub {
    my $w = $x->user(eu => 1);
    $x->cross(eu => us => $w);
    is $x->one(us => 'select dwell_s from punit.stay where user_id = ?', $w), 0.1, 'the first stay';
    $x->cross(us => eu => $w);
    is $x->one(eu => 'select dwell_s from punit.stay where user_id = ?', $w), 0.2, 'doubled';
    $x->cross(eu => us => $w);
    is $x->one(us => 'select dwell_s from punit.stay where user_id = ?', $w), 0.4, 'doubled again';
};

subtest 'an operator asks at the new owner' => sub {
    my $w = $x->user(eu => 2);
    my $id = $x->one(us => q{select punit.request_move(?, 'us')}, $w);
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'moved';
    is $x->record(us => $w)->{move_id}, $id, 'under the id that the move got';
};

subtest 'an operator asks at the old owner' => sub {
    my $w = $x->user(eu => 2);
    $x->db('eu')->do(q{select punit.request_move(?, 'us')}, undef, $w);
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'moved';
    $x->wait_until('the record',
        sub { $x->one(eu => 'select result from punit.move where user_id = ?', $w) });
    is $x->one(eu => 'select result from punit.move where user_id = ?', $w), 'passed', 'passed on';
};

subtest 'an operator\'s mistakes are named' => sub {
    my ($w, $gone) = map { $x->user(eu => 0) } 1, 2;
    $x->cross(eu => us => $gone);
    for (
        ['PU404', 'no such unit', $w, 'mars'], ['PU409', 'owned here already', $w, 'eu'],
        ['PU409', 'owned at the other unit already', $gone, 'us'],
        ['PU401', 'no such user', $x->one(eu => 'select gen_random_uuid()'), 'us'])
    {
        my ($state, $what, @args) = @$_;
        my $db = $x->db('eu');
        ok !eval { $db->do('select punit.request_move(?, ?)', undef, @args); 1 }
            && $db->state eq $state, $what;
    }
};

subtest 'other shapes are refused before any row is sent, and both are named' => sub {
    my $w = $x->user(eu => 2);
    $x->db('us')
        ->do(
        q{alter table note.book add column pages int; select punit.register_user_table('note.book')}
        );
    $us->foreign($w, 'eu', 1, 2);
    $x->wait_until('the refusal', sub { $us->log_text =~ /event=shape-differs user=\Q$w/ });
    like $us->log_text,
        qr/shape-differs user=\Q$w\E[^\n]*pages integer[^\n]*at eu:[^\n]*note\.book\(id uuid/,
        'the log names both';
    is $x->state(us => $w), '-', 'no row came';
    $x->db('eu')
        ->do(
        q{alter table note.book add column pages int; select punit.register_user_table('note.book')}
        );
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2',
        'once they agree the user moves without a further request';
};

subtest 'a missing reference row keeps the user at the old unit until it comes' => sub {
    my $w = $x->user(eu => 2);
    my $kind = $x->one(eu => 'select gen_random_uuid()');
    $x->write(eu => $w, "update note.item set kind_id = '$kind' where user_id = \$1 and n = 1");
    $us->foreign($w, 'eu', 1, 2);
    $x->wait_until('the wait', sub { $us->log_text =~ /reference-missing user=\Q$w\E.*\Q$kind/ });
    is $x->state(eu => $w), 'OWNED 1', 'eu owns the user';
    $x->db('us')->do(q{insert into note.kind values ('eu', ?)}, undef, $kind);
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'then the user moves';
};

subtest 'lines that are no reports are ignored and counted' => sub {
    ok $us->send('nonsense', 'f', 'f xyz eu 1 1', 'l ', 'f ' . ('0' x 36) . ' eu 1 1', 'x' x 3000),
        'sent';
    my $w = $x->user(eu => 1);
    $x->cross(eu => us => $w);
    like $us->log_text, qr/event=datagram ignored_lines=\d/, 'counted';
};

subtest 'SIGTERM ends the mover within 2 s' => sub {
    my $stop = sub {
        my ($try) = @_;
        $us->start if $try > 1;
        return $us->stop;
    };
    ok once_within(2, $stop), 'ended';
    is $us->{status}, 0, 'with exit 0';
};

done_testing;
