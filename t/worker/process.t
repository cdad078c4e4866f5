#!/usr/bin/perl
# A worker as a process: its socket, its start, its end.
use strict;
use warnings;
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time);

use Punit::Postgres;
use Punit::Server;
use Punit::Tries;
use Punit::Wait qw(wait_until);
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'profile');
my $dbh = $pg->dbh;
my $user = $pg->add_user('0b6f2f0e-0000-4000-8000-000000000001', 'Ann');

my $profile = Punit::Worker->new($pg, 'profile');
my $dir = $profile->dir;
my $socket = "$dir/profile.sock";
sub get { return $profile->request(GET => '/profile', user => $user, @_) }

# Runs the program until it ends by itself; gives its exit code and what it logged.
sub ends {
    my (%e) = @_;
    my $p = Punit::Server->new(
        cmd => $profile->{cmd}, log => "$dir/ends-" . int(rand 1e9) . '.log',
        env => { %{ $profile->{env} }, %e })->start;
    wait_until(sub { !$p->alive }, 10);
    my $status = $p->alive ? 'runs' : $p->{status} >> 8;
    $p->stop('KILL');
    return ($status, $p->log_text);
}

is sprintf('%04o', (stat $socket)[2] & oct 7777), '0660', 'its socket is for owner and group';

my ($status, $log) = ends();
is $status, 1, 'a second worker does not take over a socket in use';
like $log, qr/level=error .*event=socket .*another process listens/, 'and says so';
is get()->{status}, 200, 'the first one goes on';

# field 41 of proc(5)'s stat is the scheduling policy; of all threads
my @policies =
    map { open my $f, '<', $_ or die "$_: $!"; (split ' ', (readline $f) =~ s/.*\) //r)[38] }
    glob "/proc/$profile->{pid}/task/*/stat";
is_deeply [grep { $_ != 3 } @policies[1 .. $#policies]], [],
    'its threads are of SCHED_BATCH: they do not push aside what serves others';

($status, $log) = ends(PUNIT_UNIT => 'EU 1');
is $status, 1, 'a malformed unit ends the start';
like $log, qr/variable=PUNIT_UNIT value="EU 1" expected=/,
    'naming variable, value and what was expected';
($status, $log) = ends(PUNIT_PG => '');
like $log, qr/variable=PUNIT_PG/, 'a missing variable is named';
($status, $log) = ends(PUNIT_GRID => 'nonsense', PUNIT_SOCKET => "$dir/other.sock");
like "$status $log", qr/^1 .*grid="nonsense" expected=/s, 'so is a grid that is no address';
($status, $log) = ends(PUNIT_SOCKET => "$dir/profile.log");
like "$status $log", qr/^1 .*is no socket/s, 'a file in place of the socket is not removed';

# ---- the end
my $other = $pg->dbh;

# A change of the profile that waits for a lock of the test.
sub runs {
    my ($name) = @_;
    $dbh->begin_work;
    $dbh->do('select from punit.own where user_id = ? for update', undef, $user);
    my $running =
        $profile->send_only(PATCH => '/profile', user => $user, body => { name => $name });
    $profile->until(
        sub {
            $other->selectrow_array(
                "select count(*) from pg_stat_activity where usename = 'punit_profile'
                    and wait_event_type = 'Lock'"
            );
        },
        'runs a request'
    );
    return $running;
}

my $ends_after_answer = sub {
    my $running = runs('Bea');
    my $idle = $profile->connection;
    $idle->request(GET => '/profile/health', keep => 1);
    my $start = time;
    $profile->signal('TERM');
    $profile->until(sub { !-e $socket }, 'removes its socket');
    ok $profile->alive, 'after SIGTERM a running request keeps it alive';
    ok !IO::Socket::UNIX->new(Peer => $socket), 'but it takes no more';
    $dbh->rollback;
    is $profile->collect($running)->{status}, 200, 'the running request is answered';
    $profile->until(sub { !$profile->alive }, 'ends') if $profile->alive;
    is $profile->{status}, 0, 'then it ends, with exit code 0';
    my $seconds = time - $start;
    $profile->start;
    is get()->{json}{name}, 'Bea', 'it can be started again at once';
    return $seconds;
};
ok once_within(2, $ends_after_answer), 'within 2 s, idle kept connections or not';

my $ends_without_answer = sub {
    my $running = runs('Cleo');
    my $seconds = took(sub { $profile->stop('TERM') });
    $dbh->rollback;
    $profile->collect($running);
    $profile->start;
    return $seconds;
};
ok once_within(2.2, $ends_without_answer),
    'a request that does not end does not keep it from ending within 2 s';

$profile->stop('KILL');
ok -S $socket, 'killed it leaves its socket behind';
$profile->start->until(
    sub {
        eval { get()->{status} == 200 }
    },
    'listens again'
);
pass 'which the next one replaces';

# ---- many at once
my @many =
    map { $profile->send_only(PATCH => '/profile', user => $user, body => { name => "n$_" }) }
    1 .. 24;
my %count;
$count{ $profile->collect($_)->{status} }++ for @many;
is_deeply \%count, { 200 => 24 }, 'more clients than threads and connections are all served';
is $dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $user),
    24 + 2, 'each write has bumped once (those of before and the one that outlived its worker too)'
    or diag 'see PROTOCOL.md';

done_testing;
