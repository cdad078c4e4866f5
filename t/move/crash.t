#!/usr/bin/perl
# What dies in the middle of a hand-over, and what is true after it is back.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Test::More;
use Time::HiRes qw(sleep);

my $x = Punit::MoveUnits->new(qw(eu us));
# the old owner asks early, unless a test wants it to keep still
my $eu = $x->mover('eu', PUNIT_MOVE_RESOLVE => '60s');
my $us = $x->mover('us');

# Keeps us from activating: a lock on the user's row there. Gives the session; its rollback lets
# ACTIVATE go on.
sub hold {
    my ($u) = @_;
    my $h = $x->pg('us')->dbh;
    $h->begin_work;
    $h->do('select * from punit.own where user_id = ? for update', undef, $u);
    return $h;
}

# A user with a warm copy at us, fenced towards it, with ACTIVATE held up.
sub fenced {
    my (%o) = @_;
    my $u = $x->user(eu => 20);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('the copy',
        sub { $x->state(us => $u) eq 'COPY 0' && $x->digest(us => $u) eq $x->digest(eu => $u) });
    $x->write(eu => $u, $o{write} // 'insert into note.item (user_id, n) values ($1, 21)');
    my $h = hold($u);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('FENCE', sub { $x->state(eu => $u) eq 'FENCED 1' });
    return ($u, $h);
}

# The message of us that waits at eu for this lock is lost: a server works on for a client that is
# dead.
sub lose {
    my ($lock) = @_;
    $x->db('eu')
        ->do(
        q{select pg_terminate_backend(pid, 5000) from pg_stat_activity
            where usename = 'punit_peer_us'}
        );
    $lock->rollback;
}

# The mover of us dies, and so does ACTIVATE, which waits at us for this lock.
sub die_before_activate {
    my ($lock) = @_;
    $us->kill9;
    $x->db('us')
        ->do(
        q{select pg_terminate_backend(pid, 5000) from pg_stat_activity
            where usename = 'punit_mover'}
        );
    $lock->rollback;
}

sub completed {
    my ($u) = @_;
    is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'us owns the user';
    is $x->wait_state(eu => $u, 'COPY 2'), 'COPY 2', 'eu has a copy';
    is $x->one(us => 'select count(*) from note.item where user_id = ?', $u), 21,
        'with the row written last';
    is $x->digest(us => $u), $x->digest(eu => $u), 'the same rows at both';
}

subtest
    'a mover that is killed between FENCE and ACTIVATE completes the move after its start'
    => sub {
    my ($u, $h) = fenced();
    die_before_activate($h);
    is $x->state(eu => $u), 'FENCED 1', 'hanging';
    is $x->write(eu => $u), undef, 'eu writes nothing';
    $us->start;
    completed($u);
    };

subtest
    'a crash after FENCE that takes the copy along: all rows are sent while the user waits' => sub {
    my ($u, $h) = fenced();
    die_before_activate($h);
    # the copy's commit is not waited for
    my $db = $x->db('us');
    $db->do('select punit.user_clear(?)', undef, $u);
    $db->do('update punit.own set ver = -1, fork = null where user_id = ?', undef, $u);
    $us->start;
    completed($u);
    like $us->log_text, qr/event=moved user=\Q$u\E .*final=full/, 'in full';
};

subtest
    'a move without a copy, of a user that another unit owns, does not stay in phase fence'
    => sub {
    my ($u, $h) = fenced();
    die_before_activate($h);
    my $db = $x->db('us');
    $db->do('select punit.user_clear(?)', undef, $u);
    $db->do('update punit.own set ver = -1, fork = null, refused_epoch = 2 where user_id = ?',
        undef, $u);
    $x->db('eu')
        ->do(
        q{update punit.own set state = 'COPY', epoch = 4, fence_to = null, fence_epoch = null,
            owner_hint = null where user_id = ?},
        undef, $u);
    $us->start;
    $x->wait_until('another phase', sub { $x->record(us => $u)->{phase} ne 'fence' });
    isnt $x->record(us => $u)->{phase}, 'fence', 'the owner said that the user is not';
    };

subtest 'kill -9 of the old owner\'s PostgreSQL after FENCE: the same' => sub {
    my ($u, $h) = fenced();
    $x->pg('eu')->kill9;
    $x->pg('eu')->start;
    is $x->state(eu => $u), 'FENCED 1', 'FENCE survived';
    $h->rollback;
    completed($u);
};

subtest 'stop -m immediate of the new owner\'s PostgreSQL before ACTIVATE: the same' => sub {
    my ($u, $h) = fenced();
    $x->pg('us')->stop('immediate');
    # DBD::Pg crashes when it rolls back over a connection that is dead
    $h->{InactiveDestroy} = 1;
    $x->pg('us')->start;
    completed($u);
};

subtest 'kill -9 of both movers after FENCE: the same' => sub {
    my ($u, $h) = fenced();
    $_->kill9 for $us, $eu;
    $h->rollback;
    $_->start for $eu, $us;
    completed($u);
};

subtest 'the new owner dies after ACTIVATE, before RETIRE: RETIRE is sent after its start' => sub {
    my $u = $x->user(eu => 21);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('the copy',
        sub { $x->state(us => $u) eq 'COPY 0' && $x->digest(us => $u) eq $x->digest(eu => $u) });
    # RETIRE waits for this lock: FENCE comes first, since the row is locked only once it is fenced
    my $h = $x->pg('us')->dbh;
    $h->begin_work;
    $h->do('select * from punit.own where user_id = ? for update', undef, $u);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('FENCE', sub { $x->state(eu => $u) eq 'FENCED 1' });
    my $r = $x->pg('eu')->dbh;
    $r->begin_work;
    $r->do('select * from punit.own where user_id = ? for update', undef, $u);
    $h->rollback;
    is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'activated';
    $us->kill9;
    lose($r);
    is $x->state(eu => $u), 'FENCED 1', 'eu does not know';
    is $x->write(us => $u, q{update note.item set body = 'x' where user_id = $1 and n = 1}), 1,
        'us serves the user all the same';
    $us->start;
    is $x->wait_state(eu => $u, 'COPY 2'), 'COPY 2', 'now it does';
    ok $x->wait_until('the record', sub { ($x->record(us => $u)->{result} // '') eq 'moved' }),
        'and the record is closed';
};

subtest 'the new owner is killed in PULL: it pulls on from what it has' => sub {
    my $u = $x->user(eu => 21);
    $us->foreign($u, 'eu', 1, 1);
    $us->kill9;
    $us->start;
    $us->foreign($u, 'eu', 1, 2);
    completed($u);
};

subtest
    'what cannot be applied is refused for good: ABORT, and the old owner goes on at epoch + 2' =>
    sub {
    my $kind = $x->one(eu => 'select gen_random_uuid()');
    my ($u, $h) =
        fenced(write => "insert into note.item (user_id, n, kind_id) values (\$1, 21, '$kind')");
    $h->rollback;
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'eu owns the user';
    $x->wait_until('the record', sub { ($x->record(us => $u)->{result} // '') eq 'aborted' });
    like $x->record(us => $u)->{error}, qr/^REFERENCE note\.item\.kind_id -> note\.kind: \Q$kind/,
        'the record says why';
    is $x->one(us => 'select refused_epoch from punit.own where user_id = ?', $u), 2,
        'the refusal is kept';
    is $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 1'), 2, 'eu writes';
    $x->db('us')->do(q{insert into note.kind values ('eu', ?)}, undef, $kind);
    $us->foreign($u, 'eu', 3, 2);
    is $x->wait_state(us => $u, 'OWNED 4'), 'OWNED 4', 'once the row is there the user moves';
    };

subtest
    'a small user that is asked for needs no PULL, and a missing reference row delays no other'
    => sub {
    my $u = $x->user(eu => 20);
    my $kind = $x->one(eu => 'select gen_random_uuid()');
    $x->write(eu => $u, "insert into note.item (user_id, n, kind_id) values (\$1, 21, '$kind')");
    my $ask = sub {
        my ($who) = @_;
        return $x->one(us => q{select punit.request_move(?, 'us')}, $who);
    };
    my $id = $ask->($u);
    my $record = sub { $x->row(us => 'select * from punit.move where move_id = ?', $id) };
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'what came with FENCE was refused';
    ok $x->wait_until('the wait',
        sub { $record->()->{phase} eq 'wanted' && $record->()->{error} =~ /^REFERENCE/ }),
        'the user is still asked for';
    my $tried = $record->()->{touched_at};
    ok $x->wait_until('another try', sub { $record->()->{touched_at} ne $tried }),
        'looked for again';
    is $x->state(eu => $u), 'OWNED 3', 'and not fenced again and again';
    is $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 1'), 2, 'eu writes';
    $x->db('us')->do(q{insert into note.kind values ('eu', ?)}, undef, $kind);
    is $x->wait_state(us => $u, 'OWNED 4'), 'OWNED 4', 'once the row is there the user moves';
    is $record->()->{result}, 'moved', 'by the record that asked for the user'
        if $x->wait_until('the end', sub { $record->()->{result} });
    # nobody's reference is missing, nothing is in the way
    my $w = $x->user(eu => 20);
    $ask->($w);
    is $x->wait_state(us => $w, 'OWNED 2'), 'OWNED 2', 'moved';
    is $x->row(us => 'select rounds, mode from punit.move where user_id = ?', $w)->{rounds}, 1,
        'in one round';
    is $x->digest(us => $w), $x->digest(eu => $w), 'all rows of the user';
    ok $x->wait_until('the audit', sub { ($x->record(us => $w)->{audit} // '') eq 'same' }),
        'audited';
    # too many for that: first a copy
    my $v = $x->user(eu => 150);
    $ask->($v);
    is $x->wait_state(us => $v, 'OWNED 2'), 'OWNED 2', 'a user with more rows moves, too';
    is $x->row(us => 'select rounds, busy from punit.move where user_id = ?', $v)->{rounds}, 2,
        'in two rounds';
    is $x->record(us => $v)->{busy}, 0, 'which is not the user\'s fault';
    };

subtest 'ABORT is told again after a start if its REFUSED is lost' => sub {
    my $kind = $x->one(eu => 'select gen_random_uuid()');
    my ($u, $h) =
        fenced(write => "insert into note.item (user_id, n, kind_id) values (\$1, 21, '$kind')");
    my $r = $x->pg('eu')->dbh;
    $r->begin_work;
    $r->do('select * from punit.own where user_id = ? for update', undef, $u);
    $h->rollback;
    $x->wait_until('the refusal', sub { $x->record(us => $u)->{phase} eq 'refuse' });
    $us->kill9;
    lose($r);
    is $x->state(eu => $u), 'FENCED 1', 'eu does not know';
    $us->start;
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'now it does';
};

subtest 'tables that change between FENCE and its answer: ABORT' => sub {
    my ($u, $h) = fenced();
    die_before_activate($h);
    $x->db('eu')
        ->do(
        q{alter table note.book add column pages int; select punit.register_user_table('note.book')}
        );
    $us->start;
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'eu owns the user';
    $x->db('us')
        ->do(
        q{alter table note.book add column pages int; select punit.register_user_table('note.book')}
        );
};

# from here on the old owner asks after a second
$eu->stop;
delete $x->{mover}{eu};
$eu = $x->mover('eu');

subtest
    'the new owner stays silent: RESOLVE before ACTIVATE gives the user back at epoch + 2' => sub {
    my ($u, $h) = fenced();
    die_before_activate($h);
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'eu owns the user again';
    is $x->one(us => 'select refused_epoch from punit.own where user_id = ?', $u), 2,
        'us has promised';
    is $x->write(eu => $u), 2, 'eu writes';
    $us->start;
    # its unfinished record repeats FENCE, which tells it better
    $us->foreign($u, 'eu', 3, 2);
    is $x->wait_state(us => $u, 'OWNED 4'), 'OWNED 4', 'a later move succeeds';
    is $x->wait_state(eu => $u, 'COPY 4'), 'COPY 4', 'with one owner';
};

subtest 'RETIRE never comes: RESOLVE after ACTIVATE makes the old owner a copy' => sub {
    my ($u, $h) = fenced();
    my $r = $x->pg('eu')->dbh;
    $r->begin_work;
    $r->do('select * from punit.own where user_id = ? for update', undef, $u);
    $h->rollback;
    is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'activated';
    $us->kill9;
    lose($r);
    is $x->wait_state(eu => $u, 'COPY 2'), 'COPY 2', 'eu has asked';
    $us->start;
    $x->wait_until('the record', sub { $x->record(us => $u)->{phase} eq 'done' });
    is $x->record(us => $u)->{result}, 'moved',
        'RETIRE repeated changes nothing and closes the record';
};

subtest 'a peer that is away is logged once, and the move goes on when it is back' => sub {
    my $u = $x->user(eu => 21);
    my $lines = () = $us->log_text =~ /event=peer-away peer=eu/g;
    $x->pg('eu')->stop('immediate');
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until('the failure',
        sub { (() = $us->log_text =~ /event=peer-away peer=eu/g) > $lines });
    sleep 0.5;
    is((() = $us->log_text =~ /event=peer-away peer=eu/g), $lines + 1, 'one line');
    $x->pg('eu')->start;
    completed($u);
    like $us->log_text, qr/event=peer-back peer=eu/, 'and one when it is back';
};

subtest 'an erased user: the message reaches the copy, and nothing revives the user' => sub {
    my $u = $x->user(eu => 5);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('the copy', sub { $x->state(us => $u) eq 'COPY 0' });
    $x->db('eu')->do('select punit.erase_user(?)', undef, $u);
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until('the record', sub { ($x->record(us => $u)->{result} // '') eq 'erased' });
    # the mesh's part: the row of the outbox comes to us
    my $m =
        $x->row(eu => q{select * from punit.outbox where user_id = ? and target_unit = 'us'}, $u);
    $x->db('us')->do(
        q{insert into punit.outbox (origin_unit, target_unit, seq, kind, user_id, payload)
        overriding system value values (?, ?, ?, ?, ?, ?)}, undef,
        @$m{qw(origin_unit target_unit seq kind user_id payload)});
    is $x->wait_state(us => $u, 'ERASED 1'), 'ERASED 1', 'erased at us';
    is $x->one(us => 'select count(*) from note.item where user_id = ?', $u), 0, 'no rows';
    is $x->one(us => 'select count(*) from punit.outbox_ack where seq = ?', $m->{seq}), 1,
        'acknowledged';
};

subtest
    'a user erased here while FENCE is answered is not refused, or the old owner would resume'
    => sub {
    $_->stop for $eu, $us;
    delete $x->{mover}{$_} for qw(eu us);
    $x->mover('eu', PUNIT_MOVE_RESOLVE => '60s');
    # one session with eu, that of the copy: a new one would rehearse, and wait for the table before
    # FENCE
    my $us = $x->mover('us', PUNIT_MOVERS => 1);
    my $u = $x->user(eu => 5);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('the copy',
        sub { $x->state(us => $u) eq 'COPY 0' && $x->digest(us => $u) eq $x->digest(eu => $u) });
    # FENCE passes, the final read after it waits for this, and then cannot be answered
    $x->write(eu => $u, 'update note.item set n = -n where user_id = $1 and n = 1');
    my $h = $x->pg('eu')->dbh;
    $h->begin_work;
    $h->do('alter table punit.dedup rename to gone');
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('FENCE', sub { $x->state(eu => $u) eq 'FENCED 1' });
    $x->db('us')->do('select punit.erased(?, 2)', undef, $u);
    $h->commit;
    $x->wait_until('ABORT', sub { $us->log_text =~ /event=move-aborted user=\Q$u\E/ });
    $x->wait_until('the record', sub { ($x->record(us => $u)->{result} // 'erased') eq 'erased' });
    is $x->state(eu => $u), 'FENCED 1', 'eu does not own the user again';
    is $x->state(us => $u), 'ERASED 2', 'the user stays erased at us';
    $x->db('eu')->do('alter table punit.gone rename to dedup');
    };

done_testing;
