package Punit::Server;

# The parent of all servers of the tests: start, wait until it answers, stop, and what its log must
# not hold.
#
#   my $s = Punit::Server->new(cmd => [...], log => $file, env => {...}, socket => $path)->start;
#   $s->until(sub { ... }, 'has done it');  $s->signal('HUP');  $s->stop;  $s->start;
#   my $dir = directory('grid');            # a directory of the test's own below /tmp
#
# At the end of the test all servers are stopped, the last one first. A log with an alert, an emerg
# or a sanitizer's report fails the test. Then the directories are removed. If the test failed they
# stay, and the logs are named.
#
# A subclass may bring its own `launch`, `ready`, `stop`, `logs` and `excused`.

use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use Fcntl qw(:flock);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(time sleep);

use Punit::Command qw(punit_user spawn);
use Punit::File qw(slurp);
use Punit::Wait qw(patience wait_until);

our @EXPORT_OK = qw(directory free_port port_base);

# What no run may leave in a log.
my $forbidden = qr/\[(?:alert|emerg)\]
    | ERROR:\ \w+Sanitizer | WARNING:\ \w+Sanitizer | SUMMARY:\ \w+Sanitizer | runtime\ error:
    | \b(?:PANIC|TRAP):/x;

my $test_pid = $$;
my (@servers, @directories, @locks);

# ---- what the test makes

# /tmp/punit-NAME-XXXXXX, where servers of the user punit may put their sockets. PUNIT_TEST_DIR is
# another place than /tmp.
sub directory {
    my ($name) = @_;
    my $dir = tempdir("punit-$name-XXXXXX", DIR => $ENV{PUNIT_TEST_DIR} // '/tmp');
    push @directories, $dir;
    my (undef, $uid, $gid) = punit_user();
    chown $uid, $gid, $dir or croak "$dir: $!";
    chmod 0755, $dir;
    return $dir;
}

# A base of ports that no other test has until this process ends, for servers whose ports stand in
# files: BASE .. BASE+399, far from 8100 and below the ports that the kernel gives out.
sub port_base {
    for (my $base = 20_000; $base < 30_000; $base += 400) {
        open my $lock, '>>', "/tmp/punit-ports-$base.lock" or next;
        next unless flock $lock, LOCK_EX | LOCK_NB;
        push @locks, $lock;
        return $base;
    }
    croak 'no free base of ports';
}

# A port of 127.0.0.1 that nobody listens on. `held` gets the socket that keeps the port from
# others.
sub free_port {
    my ($held) = @_;
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or croak "no port: $!";
    push @$held, $s if $held;
    return $s->sockport;
}

# cmd, log, env, input as of Punit::Command::spawn, cwd: its `dir`; socket: a unix socket, or port:
# one of 127.0.0.1, that it listens on.
sub new {
    my ($class, %o) = @_;
    my $self = bless {%o}, $class;
    push @servers, $self;
    return $self;
}

sub pid { return $_[0]{pid} }
sub log { return $_[0]{log} }

# ---- its life

# Starts it, again if need be, and returns it once it answers.
sub start {
    my ($self) = @_;
    $self->launch;
    return $self->until(sub { $self->ready }, 'answers');
}

sub launch {
    my ($self) = @_;
    delete $self->{status};
    $self->{pid} =
        spawn($self->{cmd}, dir => $self->{cwd}, map { $_ => $self->{$_} } qw(log env input));
    return;
}

sub ready {
    my ($self) = @_;
    return IO::Socket::UNIX->new(Peer => $self->{socket}) if $self->{socket};
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
        if $self->{port};
    return 1;
}

# Waits until the condition holds. Dies after so many seconds (20), or when the process has ended.
sub until {
    my ($self, $condition, $what, $seconds) = @_;
    my $ended;
    wait_until(sub { $condition->() || ($ended = $self->{pid} && !$self->alive) }, $seconds // 20)
        or croak $self->name . " is not so in time: $what, see " . $self->log;
    croak $self->name . " has ended before it $what, see " . $self->log if $ended;
    return $self;
}

sub name { my ($self) = @_; return $self->{cmd} ? "@{ $self->{cmd} }" : ref $self }

# True while it runs; then the wait status is in {status}.
sub alive {
    my ($self) = @_;
    return 0 unless $self->{pid};
    return 1 if waitpid($self->{pid}, WNOHANG) == 0;
    $self->{status} = $?;
    delete $self->{pid};
    return 0;
}

sub signal { my ($self, $signal) = @_; kill $signal, $self->{pid} if $self->{pid}; return $self }

# Ends it, by KILL if the signal (TERM) has not ended it in time. Returns the wait status.
sub stop {
    my ($self, $signal) = @_;
    return $self->{status} unless $self->{pid};
    $self->signal('CONT')->signal($signal // 'TERM');
    my $start = time;
    while ($self->alive) {
        $self->signal('KILL') if time - $start > patience($self->{stop_limit} // 10);
        sleep 0.005;
    }
    return $self->{status};
}

# The same at the end of the test.
sub end { my ($self) = @_; return $self->stop }

# ---- its logs

sub logs { my ($self) = @_; return $self->log // () }

sub log_text { my ($self) = @_; return slurp($self->log, absent => '') }

# A line that is forbidden but that the test itself has caused.
sub excused { return 0 }

# The forbidden lines of its logs. nginx complains of the open connections of a worker
# that is terminated while it ends gracefully.
sub complaints {
    my ($self) = @_;
    my @bad;
    for my $log ($self->logs) {
        my $terminated;
        for my $line (split /^/, slurp($log, absent => '')) {
            $terminated = 1 if $line =~ /signal 15 \(SIGTERM\) received from \d+, exiting$/;
            $terminated = 0 if $line =~ /start worker process \d+$/;
            next if $terminated && $line =~ /open socket #\d+ left in connection|\] \S+: aborting$/;
            push @bad, "$log: $line" if $line =~ $forbidden && !$self->excused($line);
        }
    }
    return @bad;
}

# ---- the end of the test

sub _end_all {
    my @bad;
    for my $s (reverse @servers) {
        eval { $s->end; 1 } or push @bad, $@;
    }
    return (@bad, map { $_->complaints } @servers);
}

END {
    if ($$ == $test_pid) {
        my $status = $?;
        my @bad = _end_all();
        Test::More::diag($_) for @bad;
        $status ||= 1 if @bad;
        if ($status || !Test::More->builder->is_passing) {
            Test::More::diag("log of @{[ref $_]}: $_") for map {
                my $s = $_; grep {-s} $s->logs
            } @servers;
            $File::Temp::KEEP_ALL = 1;
        }
        else {
            remove_tree(@directories);
        }
        $? = $status;
    }
}

1;
