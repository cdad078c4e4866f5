#!/usr/bin/perl
# A worker's log: a line for each request, kept for a moment and written together; none is lost at
# the end.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

use Punit::File qw(spew);
use Punit::Postgres;
use Punit::Tries;
use Punit::Wait qw(wait_until);
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'profile');
my $dbh = $pg->dbh;
my $user = '0b6f2f0e-0000-4000-8000-000000000001';
$dbh->begin_work;
$dbh->do('select punit.create_user(?)', undef, $user);
$dbh->do('select profile.create(?, ?)', undef, $user, 'Ann');
$dbh->commit;

my $time = qr{\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z};
my $profile = Punit::Worker->new($pg, 'profile');
sub get {
    my ($id, %o) = @_;
    return $profile->request(GET => '/profile', user => $user, keep => 1,
        params => { PUNIT_REQUEST_ID => $id }, %o)
}
sub logged { return $profile->log_text =~ /event=request request="([^"]*)"/g }

subtest 'an answered request is in the log soon, with all that is said of it' => sub {
    my $soon = sub {
        my ($try) = @_;
        my $id = 'one' x $try;
        is get($id)->{status}, 200, 'answered';
        return took(sub {
            $profile->until(
                sub {
                    grep { $_ eq $id } logged()
                },
                'logs it'
            );
        });
    };
    ok once_within(1, $soon), 'soon';
    my ($line) = grep {/request="one"/} split /\n/, $profile->log_text;
    like $line,
        qr{^ts=$time level=info service=profile event=request request="one" user=$user method=GET},
        'request and user';
    like $line, qr{ route="/profile" status=200 problem=- ms=\d+$}, 'route, status, time';
};

subtest 'of requests one after another: a line for each, in their order' => sub {
    my @ids = map {"many-$_"} 1 .. 1500;
    get($_) for @ids;
    $profile->until(
        sub {
            grep { $_ eq $ids[-1] } logged()
        },
        'logs the last'
    );
    is_deeply [grep {/^many-/} logged()], \@ids, 'none is lost, none is out of place';
    is_deeply [grep { !/^ts=\S+ level=\w+ service=profile event=/ } split /\n/, $profile->log_text],
        [], 'all lines are whole';
};

subtest 'requests at the same time: whole lines, one for each' => sub {
    my $each = $profile->connection;    # a connection of its own
    my @running = map {
        my $n = $_; $each->send_only(GET => '/profile', user => $user,
            params => { PUNIT_REQUEST_ID => "beside-$n" })
    } 1 .. 24;
    is_deeply [grep { $each->collect($_)->{status} != 200 } @running], [], 'answered';
    $profile->until(
        sub {
            24 == grep {/^beside-/} logged()
        },
        'logs all of them'
    );
    is_deeply [sort grep {/^beside-/} logged()], [sort map {"beside-$_"} 1 .. 24], 'each once';
};

subtest 'what fails is said before the requests that met it' => sub {
    $pg->kill9;
    get($_) for 'before-1', 'before-2';
    $profile->until(
        sub {
            grep { $_ eq 'before-2' } logged()
        },
        'logs the last'
    );
    my @said = $profile->log_text =~ /event=(database-down|request request="before-\d")/g;
    is_deeply \@said, ['database-down', 'request request="before-1"', 'request request="before-2"'],
        'what it is, then the requests that met it'
        or diag $profile->log_text;
    $pg->start;
    $profile->until(sub { get('again')->{status} == 200 }, 'serves again');
};

subtest 'what is kept is written at the end' => sub {
    for my $round (1 .. 5) {
        my @ids = map {"end-$round-$_"} 1 .. 20;
        get($_) for @ids;
        $profile->signal('TERM');
        $profile->until(sub { !$profile->alive }, 'ends');
        is_deeply [grep {/^end-$round-/} logged()], \@ids,
            "all of it, before the process is gone ($round)";
        my @events = $profile->log_text =~ /event=(\S+)/g;
        is $events[-1], 'stop', 'and the end is the last line';
        $profile->fcgi->close_kept;
        $profile->start;
    }
};

$profile->stop;

# What a worker logs that ends at once, with JOURNAL_STREAM as systemd sets it: the device and the
# inode of stderr.
sub logged_under {
    my ($name, $stream) = @_;
    my $log = spew($profile->dir . "/$name.log", '');
    my ($device, $inode) = (stat $log)[0, 1];
    my $worker = Punit::Server->new(
        cmd => $profile->{cmd}, log => $log,
        env => { %{ $profile->{env} }, PUNIT_UNIT => 'EU 1', $stream->($device, $inode) });
    $worker->launch;
    wait_until(sub { !$worker->alive }, 10);
    return $worker->log_text;
}

subtest 'the journal of systemd gets the priority of a line' => sub {
    my $journal = logged_under('journal', sub { JOURNAL_STREAM => "$_[0]:$_[1]" });
    like $journal, qr/\A<3>ts=\S+ level=error /, 'before it, where stderr is the journal';
    unlike $journal, qr/^(?!<[3467]>ts=)/m, 'before each line';
    my $file = logged_under('file', sub { JOURNAL_STREAM => "$_[0]:" . ($_[1] + 1) });
    like $file, qr/\Ats=\S+ level=error /, 'not where stderr was led elsewhere since';
    like logged_under('plain', sub { () }), qr/\Ats=/, 'not without systemd';
};

done_testing;
