#!/usr/bin/perl
# SIGHUP makes a worker begin anew in its place, and a socket may outlive a worker. Neither loses a
# request.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Test::More;

use Punit::File qw(slurp);
use Punit::Postgres;
use Punit::Server;
use Punit::Tree qw(program);
use Punit::Wait qw(patience wait_until);
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'profile');
my $user = $pg->add_user('0b6f2f0e-0000-4000-8000-000000000001', 'Ann');
my $other = $pg->dbh;

# The record that asks a front to close: version 1, standard error, request 1, no content.
my $please_close = pack 'CCnnCx', 1, 7, 1, 0, 0;

sub starts { my ($worker) = @_; my $n = () = $worker->log_text =~ / event=start /g; return $n }
sub answers { my ($worker) = @_; my $n = () = $worker->log_text =~ / event=request /g; return $n }
sub locked {
    return $other->selectrow_array(
        q{select count(*) from pg_stat_activity where usename = 'punit_profile'
            and wait_event_type = 'Lock'}
    );
}

# Asks the worker in a child process, each time on a new connection, until `stop` is called. That
# gives the number of answers, and of those other than 200.
sub ask_all_the_time {
    my ($worker) = @_;
    pipe my $said, my $say or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my ($asked, $failed, $end) = (0, 0);
        local $SIG{TERM} = sub { $end = 1 };
        until ($end) {
            my $answer = eval { $worker->connection->request(GET => '/profile', user => $user) };
            $asked++;
            $failed++ if ($answer->{status} // 0) != 200;
        }
        syswrite $say, "$asked $failed";
        require POSIX;
        POSIX::_exit(0);
    }
    close $say;
    return sub {
        kill TERM => $pid;
        my ($asked, $failed) = split ' ', <$said>;
        waitpid $pid, 0;
        return ($asked, $failed);
    };
}

# Until the log has so many starts.
sub begun_anew {
    my ($worker, $starts) = @_;
    return $worker->until(sub { starts($worker) >= $starts }, "starts $starts times");
}

subtest 'SIGHUP: the program begins anew in its process' => sub {
    my $profile = Punit::Worker->new($pg, 'profile');
    my $pid = $profile->pid;
    my $inode = (stat $profile->{socket})[1];
    my $stop = ask_all_the_time($profile);
    for my $n (1 .. 5) {
        my $starts = starts($profile);
        my $answers = answers($profile);
        $profile->until(sub { answers($profile) > $answers + 10 }, 'answers');
        $profile->signal('HUP');
        begun_anew($profile, $starts + 1);
    }
    my ($asked, $failed) = $stop->();
    is $failed, 0, "no request of $asked is lost";
    cmp_ok $asked, '>', 50, 'requests were asked all the time';
    is $profile->pid, $pid, 'the process is the same';
    is((stat $profile->{socket})[1], $inode, 'and so is the socket');
    my @open = grep {/socket/} map { readlink // () } glob "/proc/$pid/fd/*";
    cmp_ok scalar @open, '<', 8, 'descriptors of the former programs are closed'
        or diag "@open";
    is $profile->stop('TERM') >> 8, 0, 'SIGTERM ends it';
    ok !-e $profile->{socket}, 'and its socket';
};

subtest 'a kept connection when the program ends' => sub {
    my $profile = Punit::Worker->new($pg, 'profile');
    my $front = $profile->connection;
    $front->request(GET => '/profile', user => $user, keep => 1);
    my $kept = $front->{kept};
    $profile->signal('HUP');
    ok(IO::Select->new($kept)->can_read(patience(5)), 'the front is told');
    sysread $kept, my $record, 100;
    is unpack('H*', $record), unpack('H*', $please_close), 'by an empty record of standard error';
    is $front->request(GET => '/profile', user => $user, keep => 1)->{status}, 200,
        'a request that the front had sent before is answered';
    is starts($profile), 1, 'the program waits for the front to close';
    $front->close_kept;
    undef $kept;
    begun_anew($profile, 2);
    is $profile->request(GET => '/profile', user => $user)->{status}, 200, 'then it begins anew';
};

subtest 'a request that runs' => sub {
    my $profile = Punit::Worker->new($pg, 'profile');
    my $dbh = $pg->dbh;
    $dbh->begin_work;
    $dbh->do('select from punit.own where user_id = ? for update', undef, $user);
    my $running =
        $profile->send_only(PATCH => '/profile', user => $user, body => { name => 'Bea' });
    $profile->until(\&locked, 'runs a request');
    $profile->signal('HUP');
    is $profile->request(GET => '/profile', user => $user)->{status}, 200,
        'while it runs, others are served';
    is starts($profile), 1, 'by the program that runs it';
    $dbh->rollback;
    is $profile->collect($running)->{status}, 200, 'it is answered';
    begun_anew($profile, 2);
    is $profile->request(GET => '/profile', user => $user)->{json}{name}, 'Bea', 'and done';
};

subtest 'the script that started it is run again, and settings are read again' => sub {
    my $dir = Punit::Server::directory('run');
    my $write = sub {
        my ($threads) = @_;
        open my $run, '>', "$dir/run" or die "$dir/run: $!";
        print $run "#!/bin/sh\nexport PUNIT_THREADS=$threads\nexec ", program('punit-profile'),
            "\n";
        close $run;
        chmod 0755, "$dir/run";
    };
    $write->(3);
    my $profile = Punit::Worker->new($pg, 'profile', PUNIT_RUN => "$dir/run");
    $write->(5);
    $profile->signal('HUP');
    begun_anew($profile, 2);
    like $profile->log_text, qr/ event=start .*threads=5 /, 'with the new setting';
    rename "$dir/run", "$dir/away";
    $profile->signal('HUP');
    $profile->until(sub { $profile->log_text =~ / event=reload .*why=/ }, 'says why not');
    is $profile->request(GET => '/profile', user => $user)->{status}, 200,
        'without the script it goes on as it is';
};

# How a supervisor hands the socket over: the command, whose standard input is the socket.
my %ways = (
    'descriptor 0' => [program('punit-profile')],
    'systemd' => [
        'sh', '-c',
        'exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0"',
        program('punit-profile')
    ],
);

for my $way (sort keys %ways) {
    subtest "an inherited socket: $way" => sub { inherited($ways{$way}) };
}

sub inherited {
    my ($cmd) = @_;
    my $dir = Punit::Server::directory('inherited');
    my $path = "$dir/profile.sock";
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 100) or die "$path: $!";
    my %env = (PUNIT_UNIT => 'eu', PUNIT_PG => $pg->conninfo, PUNIT_THREADS => 4,
        PUNIT_PG_POOL => 2);
    my $profile = Punit::Server->new(
        cmd => $cmd, log => "$dir/profile.log", env => \%env,
        input => $listener)->start;
    my $worker = bless { %$profile, fcgi => Punit::FastCGI->new($path), socket => $path },
        'Punit::Worker';
    my $stop = ask_all_the_time($worker);
    for my $n (1 .. 3) {
        $profile->until(sub { starts($profile) == $n }, 'starts');
        is $profile->stop('TERM') >> 8, 0, "SIGTERM ends it, time $n";
        ok -S $path, 'the socket stays';
        $profile->launch;
    }
    $profile->until(sub { starts($profile) == 4 }, 'starts');
    my ($asked, $failed) = $stop->();
    is $failed, 0, "no request of $asked is lost";
    $profile->signal('HUP');
    begun_anew($profile, 5);
    is $worker->request(GET => '/profile', user => $user)->{status}, 200,
        'SIGHUP keeps the socket too';
    return;
}

done_testing;
