#!/usr/bin/perl
# A move is cancelled at each step. One unit soon owns the user, and nothing is left behind.
# PUNIT_TEST_CANCELS: the number of random cancellations (1000).
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Punit::Tries;
use Test::More;
use Time::HiRes qw(time sleep);

my $x = Punit::MoveUnits->new(qw(eu us));
my $eu = $x->mover('eu', PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_DWELL => '0s',
    PUNIT_MOVE_RESOLVE => '30s');
my $us = $x->mover('us', PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_DWELL => '0s',
    PUNIT_MOVE_RESOLVE => '30s');

sub cancel { my ($unit, $u) = @_; return $x->one($unit => 'select punit.cancel_move(?)', $u) }

sub unfinished {
    my ($unit, $u) = @_;
    return $x->one(
        $unit => 'select count(*) from punit.move where user_id = ? and finished_at is null', $u)
}

sub directory {
    my ($unit, $of, $u) = @_;
    return $x->db($unit)
        ->do('insert into punit.home values (?, ?, 1) on conflict do nothing', undef, $of, $u);
}

subtest 'nobody moves: none' => sub {
    is cancel(us => $x->user(eu => 1)), 'none', 'said';
};

subtest 'wanted: the wish is gone' => sub {
    my $u = $x->user(eu => 1);
    directory(us => eu => $u);
    $us->kill9;
    $x->one(us => q{select punit.request_move(?, 'us')}, $u);
    is cancel(us => $u), 'cancelled', 'cancelled';
    $us->start;
    # another user's whole move passes meanwhile
    $x->cross(eu => us => $x->user(eu => 1));
    is $x->state(eu => $u), 'OWNED 1', 'eu owns the user';
    is $x->record(us => $u)->{result}, 'cancelled', 'the record says why';
};

subtest 'a warm copy: requests from before count no more, later ones do' => sub {
    my $u = $x->user(eu => 1);
    my $lock = $x->pg('eu')->dbh;
    $lock->begin_work;
    $lock->do('select from punit.own where user_id = ? for update', undef, $u);
    $us->foreign($u, 'eu', 1, 2);
    # FENCE waits for the lock again and again
    $x->wait_until('BUSY', sub { ($x->record(us => $u)->{busy} // 0) > 0 });
    $x->wait_until('a cancel', sub { cancel(us => $u) =~ /cancelled|refusing/ });
    $lock->rollback;
    $x->wait_until('the end', sub { !unfinished(us => $u) });
    $x->cross(eu => us => $x->user(eu => 1));
    like $x->state(eu => $u), qr/^OWNED/, 'eu owns the user';
    is $x->record(us => $u)->{result}, 'cancelled', 'cancelled';
    $x->cross(eu => us => $u);
    like $x->state(us => $u), qr/^OWNED/, 'new requests move the user';
};

subtest 'after FENCE: refused for good, and the old owner has the user back at once' => sub {
    my $u = $x->user(eu => 5);
    directory(us => eu => $u);
    # ACTIVATE waits for the row here
    $x->db('us')->do(q{insert into punit.own (user_id, state) values (?, 'COPY')}, undef, $u);
    my $h = $x->pg('us')->dbh;
    $h->begin_work;
    $h->do('select from punit.own where user_id = ? for update', undef, $u);
    $x->one(us => q{select punit.request_move(?, 'us')}, $u);
    sleep 0.05;
    $h->rollback;
    my $said = '';
    # as near to the middle as chance allows; the others cover the rest
    $x->wait_until(
        'the end of it',
        sub {
            my $s = cancel(us => $u);
            $said = $s unless $s eq 'none';
            !unfinished(us => $u);
        });
    my @owned = grep { $x->state($_ => $u) =~ /^OWNED/ } qw(eu us);
    is scalar @owned, 1, "one owner: $owned[0], told: $said";
};

some_subtest
    'if FENCE was recorded and never sent, the owner skips that epoch and refuses a late FENCE'
    => sub {
    my $u = $x->user(eu => 5);
    $us->kill9;
    $x->db('us')->do(
        q{insert into punit.move (user_id, from_unit, to_unit, phase, epoch, base_ver, mode)
        values (?, 'eu', 'us', 'fence', 1, -1, 'delta')}, undef, $u
    );
    is cancel(us => $u), 'refusing', 'refused first';
    is cancel(us => $u), 'refusing', 'and again';
    is $x->one(us => 'select refused_epoch from punit.own where user_id = ?', $u), 2, 'the promise';
    $us->start;
    is $x->wait_state(eu => $u, 'OWNED 3'), 'OWNED 3', 'eu owns the user at the epoch after';
    $x->wait_until('the end', sub { !unfinished(us => $u) });
    is $x->record(us => $u)->{result}, 'cancelled', 'cancelled';
    my $seconds = took(sub { $x->cross(eu => us => $u) });
    is $x->state(us => $u), 'OWNED 4', 'a later move succeeds';
    cmp_ok $seconds, '<', 10, 'without waiting for RESOLVE';
    };

subtest 'after ACTIVATE: too late' => sub {
    my $u = $x->user(eu => 1);
    $x->db('us')->do(
        q{insert into punit.own (user_id, state, epoch, ver, fork)
            values (?, 'OWNED', 2, 0, gen_random_uuid())},
        undef, $u
    );
    $us->kill9;
    $x->db('us')->do(
        q{insert into punit.move (user_id, from_unit, to_unit, phase, epoch)
            values (?, 'eu', 'us', 'retire', 1)},
        undef, $u
    );
    is cancel(us => $u), 'moved', 'said';
    is unfinished(us => $u), 1, 'the old owner is still to be told';
    $us->start;
    $x->wait_until('the end', sub { !unfinished(us => $u) });
};

subtest 'at the old owner: a wish that is not passed on yet' => sub {
    my $u = $x->user(eu => 1);
    $eu->kill9;
    $x->one(eu => q{select punit.request_move(?, 'us')}, $u);
    is cancel(eu => $u), 'cancelled', 'cancelled';
    $eu->start;
    $x->cross(eu => us => $x->user(eu => 1));
    is $x->state(eu => $u), 'OWNED 1', 'the user stays';
};

my $n = $ENV{PUNIT_TEST_CANCELS} // 1000;

subtest "$n cancels at random moments leave no row, lock, connection or slot" => sub {
    my $count = sub {
        my ($unit) = @_;
        return $x->row(
            $unit => q{select
            (select count(*) from pg_stat_activity
                where backend_type = 'client backend') as connections,
            (select count(*) from pg_replication_slots) as slots,
            (select count(*) from pg_locks l where l.pid <> pg_backend_pid()
                and l.locktype in ('advisory', 'transactionid', 'tuple')) as locks,
            (select count(*) from pg_stat_activity where state like 'idle in transaction%') as open}
        );
    };
    my @users = map { $x->user(eu => 20) } 1 .. 25;
    my %at = map { $_ => 'eu' } @users;
    # connections that stay, one for each mover, are made by now
    for my $way ([qw(eu us)], [qw(us eu)], [qw(eu us)], [qw(us eu)]) {
        my ($from, $to) = @$way;
        $x->mover($to)->foreign($_, $from, 0, 2) for @users;
        for my $u (@users) { $x->cross($from => $to => $u) unless $x->state($to => $u) =~ /^OWNED/ }
        $x->wait_until(
            'all over',
            sub {
                !grep { unfinished($to, $_) } @users
            });
    }
    my %before = map { $_ => $count->($_) } qw(eu us);
    srand 42;
    my %said;
    my $began = time;
    for my $i (1 .. $n) {
        my $u = $users[rand @users];
        my ($from) = grep { $x->state($_ => $u) =~ /^OWNED/ } qw(eu us);
        if (!$from) { sleep 0.01; redo }
        my $to = $from eq 'eu' ? 'us' : 'eu';
        my $epoch = $x->one($from => 'select epoch from punit.own where user_id = ?', $u);
        if (rand() < 0.5) { $x->mover($to)->foreign($u, $from, $epoch, 2) }
        else {
            $x->db($to)
                ->do('insert into punit.home values (?, ?, ?) on conflict do nothing', undef,
                $from, $u, $epoch);
            eval { $x->one($to => 'select punit.request_move(?, ?)', $u, $to) };
        }
        sleep rand 0.03;
        $said{ cancel($to => $u) }++;
    }
    note sprintf '%.0f s; %s', time - $began, join ', ', map {"$_ $said{$_}"} sort keys %said;
    $x->wait_until(
        'nothing under way',
        sub {
            !grep {
                $x->one($_ =>
                        q{select count(*) from punit.move where finished_at is null
                            and phase <> 'copy'}
                    )
                    || $x->one($_ => q{select count(*) from punit.own where state = 'FENCED'})
            } qw(eu us);
        },
        30
    );
    my @bad = grep {
        my $u = $_; 1 != grep { $x->state($_ => $u) =~ /^OWNED/ } qw(eu us)
    } @users;
    is_deeply \@bad, [], 'each has one owner';
    for my $unit (qw(eu us)) {
        is $x->one($unit =>
                q{select count(*) from punit.move m where finished_at is null and phase <> 'copy'}),
            0, "$unit: no move";
        $x->wait_until('idle', sub { my $c = $count->($unit); !$c->{locks} && !$c->{open} });
        my $after = $count->($unit);
        is $after->{locks}, 0, "$unit: no lock";
        is $after->{slots}, 0, "$unit: no slot";
        is $after->{open}, 0, "$unit: no open transaction";
        cmp_ok $after->{connections}, '<=', $before{$unit}{connections} + 2,
            "$unit: connections do not grow ($before{$unit}{connections} -> $after->{connections})";
        is $x->one(
            $unit => q{select count(*) from pg_class c join pg_namespace s on s.oid = c.relnamespace
            where s.nspname like 'pg_temp%' and c.relkind = 'r' and pg_relation_size(c.oid) > 0}
            ),
            0, "$unit: nothing staged";
    }
    my @different = grep {
        my $u = $_; my @d = map { $x->digest($_ => $u) } qw(eu us); $d[0] ne $d[1]
            && (split / /, $d[0])[2] == (split / /, $d[1])[2]
    } @users;
    is_deeply \@different, [], 'copies at one version are the same';
    is $x->one(us => q{select count(*) from punit.move where audit = 'different'})
        + $x->one(eu => q{select count(*) from punit.move where audit = 'different'}), 0,
        'no audit differs';
};

done_testing;
