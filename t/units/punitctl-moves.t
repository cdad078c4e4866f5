#!/usr/bin/perl
# Whole units: verify, move --dry-run, cancel, moves and drain, as an operator uses them.
# PUNIT_TEST_DRAIN: how many users are drained (200).
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Punit::File qw(slurp);
use Punit::Schema;
use Punit::Units;
use Punit::Wait qw(patience wait_until);
use Test::More;

my $units = Punit::Units->start(
    units => ['eu', 'us'],
    env => { PUNIT_MOVE_QUIET => '100ms', PUNIT_MOVE_DWELL => '100ms', PUNIT_MOVE_RESOLVE => '1s' }
);
my ($eu, $us) = map { $units->dbh($_) } qw(eu us);

# A user owned at eu with some rows.
sub user {
    my ($rows) = @_;
    my ($u) = $eu->selectrow_array('select gen_random_uuid()');
    $eu->begin_work;
    $eu->do('select punit.create_user(?)', undef, $u);
    $eu->do(
        q{insert into social.post (user_id, id, text, ver)
            select ?, gen_random_uuid(), 'post ' || i, 0 from generate_series(1, ?) i},
        undef, $u, $rows
    ) if $rows;
    $eu->commit;
    return $u;
}

# The process of `punitctl drain eu`.
sub watcher {
    my $dir = $units->dir;
    my ($pid) = grep { slurp("/proc/$_/cmdline", absent => '') =~ /\0drain\0eu\0.*\Q$dir\E/ }
        map { m{(\d+)$} } glob '/proc/[0-9]*';
    return $pid;
}

sub json {
    my ($status, $output) = $units->punitctl(@_, '--json');
    return ($status, eval { decode_json($output) } // { output => $output })
}
sub state {
    my ($db, $u) = @_;
    return ($db->selectrow_array('select state from punit.own where user_id = ?', undef, $u))[0]
        // '-'
}

my $u = user(40);
my ($status, $said);

# ---- dry run
wait_until(sub { $us->selectrow_array('select true from punit.home where user_id = ?', undef, $u) },
    20);
($status, $said) = json('us', 'move', $u, '--to', 'us', '--dry-run');
is($status, 0, 'move --dry-run succeeds') or diag explain $said;
is("$said->{from} $said->{to} $said->{mode} $said->{rows}", 'eu us full 40',
    'it says whence, whither, how and how many rows');
cmp_ok($said->{bytes}, '>', 40 * 36, 'and bytes');
cmp_ok($said->{estimate_ms}, '>', 0, 'and about how long');
is(state($us, $u), '-', 'and moves nobody');
is(($units->punitctl('us', 'move', $u, '--to', 'eu', '--dry-run'))[0], 1,
    'not to the present unit');

# ---- move and verify
($status, $said) = $units->punitctl('us', 'move', $u, '--to', 'us', '--wait');
is($status, 0, 'the user moves') or diag $said;
wait_until(sub { state($eu, $u) eq 'COPY' }, 10);
($status, $said) = json('eu', 'verify', $u);
is($status, 0, 'verify finds the same at both') or diag explain $said;
is($said->{compared}, 1, 'having compared');
is_deeply([map {"$_->{unit} $_->{n}"} @{ $said->{units} }], ['eu 40', 'us 40'], '40 rows each');
($status, $said) =
    $units->punitctl('eu', 'verify', '00000000-0000-4000-8000-000000000000', '--json');
ok($status == 1 && $said =~ /"good": false/, 'verify of a user that no unit holds is no success')
    or diag $said;
is(($units->punitctl('eu', 'verify'))[0], 2, 'verify without a user or --all is a misuse');

$eu->do(
          q{set session_replication_role = replica; delete from social.post where user_id = '}
        . $u
        . q{' and text = 'post 7';
    set session_replication_role = origin}
);
($status, $said) = json('eu', 'verify', $u);
is("$status $said->{different} $said->{faults}[0]{fault}", '1 1 rows differ',
    'a row less at one of them is found: exit code 1');
is($said->{error}{name}, 'inconsistent', 'which is a kind of errors');
($status, $said) = $units->punitctl('us', 'verify', '--all');
is($status, 1, 'also by --all') or diag $said;
like($said, qr/\Q$u\E: rows differ/, 'which names the user');
# the copy is made anew by the next move in full
$eu->do(q{update punit.own set touched_at = now() - interval '40 days' where user_id = ?}, undef,
    $u);
$eu->do('select punit.evict_copies(86400)');
is(($units->punitctl('us', 'verify', '--all'))[0], 0, 'once that copy is gone all is well');

# util-linux's script gives it a terminal
my $terminal = sub {
    my $command = join ' ', $units->dir . '/app/bin/punitctl', @_;
    return scalar qx(script -qefc "$command" /dev/null </dev/null)
};
like($terminal->('verify', '--all', '--dir', $units->dir . '/us'), qr/\d+ users, 0 differ\r\e\[K/,
    'on a terminal verify --all shows how far it is');
unlike(($units->punitctl('us', 'verify', '--all'))[1], qr/\e/, 'elsewhere it does not');

# ---- moves, cancel
($status, $said) = json('us', 'moves', '--user', $u);
is("$said->{moves}[0]{phase} $said->{moves}[0]{result} $said->{moves}[0]{rows}", 'done moved 40',
    'moves says what was');
($status, $said) = json('us', 'cancel', $u);
is("$status " . (grep { $_->{answer} ne 'none' } @{ $said->{units} }), '1 0',
    'nothing to cancel: exit code 1');
$units->process('us', 'mover', 'down');
my $w = user(3);
wait_until(sub { $us->selectrow_array('select true from punit.home where user_id = ?', undef, $w) },
    20);
is(($units->punitctl('us', 'move', $w, '--to', 'us'))[0], 0,
    'a move is asked for while the mover is down');
($status, $said) = json('us', 'moves');
is_deeply([map {"$_->{user_id} $_->{phase}"} @{ $said->{moves} }], ["$w wanted"], 'moves lists it');
($status, $said) = json('eu', 'cancel', $w);
is($status, 0, 'it is cancelled from the other unit') or diag explain $said;
is(($units->punitctl('us', 'moves'))[1], "us: no moves\n", 'and off the list');
$units->process('us', 'mover', 'up');

# ---- drain
my $n = $ENV{PUNIT_TEST_DRAIN} // 200;
user($_ % 5) for 1 .. $n;
is(($units->punitctl('eu', 'drain', 'us'))[0], 1, 'a unit is drained at itself only');
($status, $said) = $units->punitctl('eu', 'drain', 'eu', '--to', 'mars');
is($status, 1, 'and to a unit that exists') or diag $said;
($status, $said) = json('eu', 'drain', 'eu', '--to', 'us', '--within', '0');
is($status, 1, 'a drain that is cut off says that users are left: exit code 1');
cmp_ok($said->{left}, '>', 0, "$said->{left} are left");
my $owned = sub {
    $eu->selectrow_array(q{select count(*) from punit.own where state in ('OWNED', 'FENCED')})
};
my $asked = $eu->selectrow_array('select count(*) from punit.drain_user');
ok(wait_until(sub { $owned->() == $n + 1 - $asked }, 60),
    "the users that are asked leave, the $asked of them")
    or diag $owned->() . " of $n are there";
($status, $said) = json('eu', 'drain', 'eu', '--to', 'us', '--within', '0');
is_deeply([@$said{qw(moved left)}], [0, $n + 1 - $asked],
    'called again it counts the users that left in between once')
    or diag explain $said;
($status, $said) = json('eu', 'drain', 'eu', '--to', 'us', '--within', patience(120));
is($status, 0, 'called again it goes on to the end') or diag explain $said;
is($said->{left}, 0, 'nobody is left');
note sprintf '%d users in %.1f s, %.0f/s', $said->{moved}, $said->{seconds}, $said->{rate};
is($owned->(), 0, 'the database agrees');
is($us->selectrow_array(q{select count(*) from punit.own where state = 'OWNED'}), $n + 2,
    'all are at us');
is($us->selectrow_array('select count(*) from punit.drain_user'), 0, 'nothing is on record there');
ok(
    wait_until(
        sub {
            !$us->selectrow_array(
                q{select count(*) from punit.move where phase not in ('done', 'copy')})
        },
        20
    ),
    'no move is under way'
);
($status, $said) = json('eu', 'verify', '--all');
is($status, 0, 'verify --all is content') or diag explain $said;
is($said->{users}, $n + 1, 'with every one of them');

# a user who comes back is not moved until the drain is ended
my $report = sub {
    require IO::Socket::UNIX;
    IO::Socket::UNIX->new(Type => Socket::SOCK_DGRAM(), Peer => $units->dir . '/eu/sock/mover.sock')
        ->send("f $w us 2 2\n");
};
$report->();
($status) = $units->punitctl('eu', 'move', $u, '--to', 'eu', '--wait');
is($status, 0, 'a user that is asked for may come back');
is(state($eu, $w), 'COPY', 'others may not');
is(($units->punitctl('eu', 'drain', 'eu', '--end'))[0], 0, 'drain --end');
ok(wait_until(sub { $report->(); state($eu, $w) eq 'OWNED' }, 20), 'then they may');

# ---- two at once, and one that is ended while it runs
user(1) for 1 .. 40;
my $here = $owned->();
my @to_us = ('eu', 'drain', 'eu', '--to', 'us', '--within', patience(60));
my @both = map { $units->punitctl_begin(@to_us, '--fast') } 1, 2;
for my $one (@both) {
    ($status, $said) = $one->();
    is($status, 0, 'of two drains at once each sees the end') or diag $said;
}
is($owned->(), 0, "all $here have left");

$units->process('us', 'mover', 'down');
user(1) for 1 .. 5;
my $waits = $units->punitctl_begin(@to_us);
ok(
    wait_until(sub { $eu->selectrow_array('select count(*) from punit.drain_user') == 5 }, 20),
    'a drain waits for a unit that takes nobody'
);
my $since = time;
is(($units->punitctl('eu', 'drain', 'eu', '--end'))[0], 0, 'it is ended by another call');
($status, $said) = $waits->();
is($status, 1, 'and gives up: exit code 1');
cmp_ok(time - $since, '<', patience(20), 'at once');
like($said, qr/the drain of unit eu was ended; 5 users are left/, 'it says so');
$units->process('us', 'mover', 'up');
($status, $said) = $units->punitctl('us', 'moves');
is($said, "us: no moves\n", 'what it asked for is withdrawn at the other unit');
is($owned->(), 5, 'so nobody goes any more');

# ---- one that nobody watches any more
$units->process('us', 'mover', 'down');
my $interrupted = $units->punitctl_begin(@to_us);
wait_until(sub { $eu->selectrow_array('select count(*) from punit.drain_user') == 5 }, 20);
kill INT => watcher();
($status, $said) = $interrupted->();
is($status, 130, 'SIGINT ends the watching: exit code 130') or diag $said;
like($said, qr/^eu: 5 users are here$/m, 'its first line came at once');
like(
    $said,
    qr/stopped watching; eu stays drained: 5 left; `punitctl drain eu --end` ends it/,
    'the last line says that the drain goes on, and how to end it'
);
is($eu->selectrow_array('select count(*) from punit.drain'), 1, 'so it does');
$interrupted = $units->punitctl_begin(@to_us, '--json');
wait_until(
    sub {
        my $pid = watcher() or return 0;
        return slurp("/proc/$pid/status", absent => '') =~ /^SigCgt:\s*\w*[4-7c-f]\w{3}$/m;
    },
    20
);
kill TERM => watcher();
($status, $said) = $interrupted->();
$said = eval { decode_json($said) } // { output => $said };
is("$status $said->{error}{name} $said->{left}", '130 interrupted 5', 'SIGTERM does so, as JSON')
    or diag explain $said;
is_deeply([Punit::Schema->new('drain')->wrong($said)], [], 'as the schema says');

# ---- the same drain to another unit: what the first one asked for is withdrawn
$eu->do(q{insert into punit.peer (id, pg) values ('ap', 'host=127.0.0.1 port=9')});
($status, $said) = $units->punitctl('eu', 'drain', 'eu', '--to', 'ap', '--within', '0');
like($said, qr/withdrew 5 requests to other units/, 'a drain to another unit takes them back');
is(($units->punitctl('us', 'moves'))[1], "us: no moves\n", 'the first unit takes nobody');
($status, $said) = $units->punitctl('eu', 'drain', 'eu', '--end');
is($status, 1, 'a unit that cannot be asked is a failure of --end');
like($said, qr/ap still takes users that it was asked for: /, 'which names it');
$eu->do(q{delete from punit.peer where id = 'ap'});
$units->process('us', 'mover', 'up');

# ---- at its end
user(1);
$us->do(
    q{insert into punit.move (user_id, from_unit, to_unit, phase, asked, paced)
        values (gen_random_uuid(), 'eu', 'us', 'wanted', true, true)});
($status, $said) =
    $units->punitctl('eu', 'drain', 'eu', '--to', 'us', '--fast', '--within', patience(60));
is($status, 0, 'a drain to its end') or diag $said;
is(($units->punitctl('us', 'moves'))[1], "us: no moves\n",
    'withdraws a request for a user who had gone elsewhere');
$units->punitctl('eu', 'drain', 'eu', '--end');

done_testing();
