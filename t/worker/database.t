#!/usr/bin/perl
# A worker whose PostgreSQL is away, ends, freezes, is busy, is a standby.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

use Punit::Command qw(punit_user);
use Punit::File qw(spew);
use Punit::Postgres;
use Punit::Tries;
use Punit::Wait qw(patience);
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'profile');
my @users = map { sprintf '0b6f2f0e-0000-4000-8000-%012d', $_ } 1 .. 8;
$pg->add_user($_, 'Ann') for @users;
$pg->stop;

my $profile = Punit::Worker->new($pg, 'profile', PUNIT_PG_POOL => 2, PUNIT_DEADLINE => '2s');

sub get { return $profile->request(GET => '/profile', user => $users[0], @_) }
sub patch {
    return $profile->request(PATCH => '/profile', user => $users[0], body => { name => 'new' }, @_)
}

sub is_down {
    my ($answer, $name) = @_;
    is_deeply [$answer->{status}, $answer->{json}{type}, $answer->{headers}{'retry-after'}],
        [503, 'urn:punit:database-down', 1], $name or diag explain $answer;
}

# `begin` lets PostgreSQL go on, `again` takes it away for another try.
sub recovers {
    my ($name, $begin, $again) = @_;
    my $try = sub {
        my ($n) = @_;
        $again->() if $n > 1;
        $begin->();
        return took(sub { $profile->until(sub { get()->{status} == 200 }, $name) });
    };
    ok once_within(2, $try), "$name, within 2 s";
    return;
}

is_down(get(), 'started without PostgreSQL it answers 503 with Retry-After');
ok once_within(0.2, sub { get()->{ms} / 1000 }), 'at once';
is get(from => 'us')->{status}, 502, 'to a peer it is 502: its front asks other units';
my $health = $profile->request(GET => '/profile/health');
is_deeply [$health->{status}, $health->{json}{failing}], [503, ['database']],
    'health names the database';
unlike $health->{body}, qr/sock|port|FATAL|libpq/, 'and no more than that';
is patch(body => '{')->{status}, 400, 'a bad request is refused without it';

recovers('it serves when PostgreSQL has come', sub { $pg->start }, sub { $pg->stop; get() });

$pg->kill9;
is_down(get(), 'PostgreSQL killed: 503');
is_down(patch(), 'a write that could not be sent: 503, and nothing is in doubt');
is_down(get(), 'and again');
recovers('it serves again after a crash', sub { $pg->start }, sub { $pg->kill9; get() });
$pg->stop('fast');
$pg->start;
is get()->{status}, 200, 'a restart between two requests is not noticed';
for my $end (qw(fast immediate)) {
    $pg->stop($end);
    $pg->start;
    is patch()->{status}, 200, "nor by a write, whatever the server said last ($end)";
}

# ---- the connection is lost in the middle of a statement
my $dbh = $pg->dbh;
$dbh->begin_work;
$dbh->do('select from punit.own where user_id = ? for update', undef, $users[0]);
my $admin = $pg->dbh;
for my $from ('', 'us') {
    my $running =
        $profile->send_only(PATCH => '/profile', user => $users[0], body => { name => 'lost' },
        from => $from);
    my $pid;
    $profile->until(
        sub {
            ($pid) = $admin->selectrow_array(
                "select pid from pg_stat_activity where usename = 'punit_profile'
                    and wait_event_type = 'Lock'"
            );
        },
        'a write waits for a lock'
    );
    $admin->do('select pg_terminate_backend(?)', undef, $pid);
    my $answer = $profile->collect($running);
    is_deeply [$answer->{status}, $answer->{json}{type}], [503, 'urn:punit:unknown-outcome'],
        'a connection lost while a write runs: 503, its outcome is unknown'
        . ($from && ', to a peer too: it has no key to be repeated with');
}

# ---- busy
my $answer;
some_subtest 'all connections wait for a lock' => sub {
    my @late = (PATCH => '/profile', user => $users[0], body => { name => 'late' });
    my @waiting = map { $profile->send_only(@late) } 1 .. 2;
    $profile->until(
        sub {
            2 == $admin->selectrow_array(
                "select count(*) from pg_stat_activity where usename = 'punit_profile'
                    and wait_event_type = 'Lock'"
            );
        },
        'all connections wait'
    );
    my $forwarded = $profile->send_only(GET => '/profile', user => $users[1], from => 'us');
    $answer = get(user => $users[1]);
    is_deeply [$answer->{status}, $answer->{json}{type}], [503, 'urn:punit:try-later'],
        'no connection free: 503';
    is $profile->collect($forwarded)->{status}, 502, 'to a peer 502';
    ok $answer->{ms} > 900 && $answer->{ms} < 1600, 'after a second' or diag $answer->{ms};
    my @answers = map { $profile->collect($_) } @waiting;
    is_deeply [map {"$_->{status} $_->{json}{type}"} @answers], [('503 urn:punit:try-later') x 2],
        'a statement that is not done by the deadline is cancelled: 503';
    ok !(grep { $_->{ms} > 2600 } @answers), 'at the deadline';
};
$dbh->rollback;
is get()->{json}{name}, 'new', 'what was cancelled or lost was not done';
is get(user => $users[1])->{status}, 200, 'the pool is whole again';

# ---- a restart, all connections of the pool open: a read asks without looking first, and asks
# again
$admin->disconnect;
$dbh->disconnect;
for my $end (qw(fast immediate)) {
    $pg->stop($end);
    $pg->start;
    is_deeply [map { get(user => $_)->{status} } @users], [(200) x @users],
        "all reads after a restart are answered ($end)";
    is patch(body => { name => 'new' })->{status}, 200, 'and a write';
    $pg->stop($end);
    $pg->start;
    is patch(body => { name => 'new' })->{status}, 200, 'the other way round, too';
    is get()->{status}, 200, 'and a read';
}
($admin, $dbh) = ($pg->dbh, $pg->dbh);

# ---- frozen: it takes connections and says nothing
my @frozen;
my $freeze = sub { @frozen = ($pg->pid, $pg->children); kill 'STOP', @frozen };
my $go_on = sub { kill 'CONT', @frozen };
my $waits = sub {
    $freeze->();
    $answer = eval { get(timeout => patience(10)) } // { status => "none: $@", ms => 1e9 };
    $go_on->();
    is $answer->{status}, 503, 'PostgreSQL frozen: 503';
    return $answer->{ms} / 1000;
};
ok once_within(3, $waits), 'soon after the deadline';
recovers('it serves when PostgreSQL goes on', $go_on, sub { $freeze->(); get() });

# ---- PostgreSQL lacks something
subtest 'a full disk: 503 for writes, reads go on, one line says what to do' => sub {
    $dbh = $pg->dbh;
    # as PostgreSQL raises it
    $dbh->do(
        q{create function profile.full() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file "base/1/2": No space left on device'
            using errcode = '53100'; end $$}
    );
    $dbh->do(
        'create trigger full_disk before update on profile.profile
            for each row execute function profile.full()'
    );
    for (1 .. 5) {
        my $answer = patch();
        is_deeply [$answer->{status}, $answer->{json}{type}, $answer->{headers}{'retry-after'}],
            [503, 'urn:punit:try-later', 1];
        unlike $answer->{body}, qr/base|device/, 'which tells nothing of it';
    }
    is get()->{status}, 200, 'a read';
    my @lines = grep {/event=database-short/} split /\n/, $profile->log_text;
    is scalar @lines, 1, 'one line';
    like $lines[0],
        qr/level=error .*sqlstate=53100 message="could not extend.* do="make room on the disk/,
        'what it is and what to do';
    $dbh->do('drop function profile.full cascade');
    is patch()->{status}, 200, 'with room again it goes on';
};

subtest
    'PostgreSQL takes no more connections: 503, one line with the reason, and served when it does'
    => sub {
    $dbh->do('alter role punit_profile connection limit 0');
    my $other =
        Punit::Worker->new($pg, 'profile', PUNIT_PG => $pg->conninfo . ' user=punit_profile',
        PUNIT_PG_POOL => 2);
    is_down($other->request(GET => '/profile', user => $users[0]), 'refused for now') for 1 .. 3;
    my @lines = grep {/event=database-down/} split /\n/, $other->log_text;
    is scalar @lines, 1, 'one line';
    like $lines[0], qr/too many connections for role/, 'with the reason';
    $dbh->do('alter role punit_profile connection limit -1');
    $other->until(sub { $other->request(GET => '/profile', user => $users[0])->{status} == 200 },
        'served');
    pass 'served when it takes them again';
    $other->stop;
    };

# ---- a standby serves copies only
$admin->disconnect;
$dbh->disconnect;
$pg->stop;
spew($pg->dir . '/data/standby.signal');
chown((punit_user())[1, 2], $pg->dir . '/data/standby.signal');
$pg->start;
$profile->until(sub { get(route => 'stale')->{status} == 200 }, 'reads from a standby');
pass 'with PostgreSQL in recovery the stale route is served';
is_down(get(), 'any other read: 503');
is_down(patch(), 'a write: 503');
is_deeply $profile->request(GET => '/profile/health')->{json}{failing}, ['database'],
    'health names it';

is + (() = $profile->log_text =~ /event=database-down/g),
    (() = $profile->log_text =~ /event=database-up/g),
    'the log has one line for each change, not for each request';

done_testing;
