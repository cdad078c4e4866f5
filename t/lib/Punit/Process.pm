package Punit::Process;

# A program of a test's own: started with an environment, its output in a log, stopped by its pid. The log stays
# and is named when the test fails, and a sanitizer's report in it fails the test.
#
#   my $worker = Punit::Process->worker('profile', $dir, PUNIT_PG => ..., PUNIT_GRID => ...);
#   my $memcached = Punit::Process->memcached("$dir/grid.sock");

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use File::Temp ();
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);
use Test::More ();

my @running;
my $test_pid = $$;
(my $root = abs_path(__FILE__)) =~ s{/t/lib/Punit/Process\.pm$}{};

# The program punit-NAME; PUNIT_BIN names another folder of them (build/san/bin).
sub program { my ($class, $name) = @_; return ($ENV{PUNIT_BIN} // "$root/build/bin") . "/punit-$name" }

# Runs cmd with env added to a clean environment; log: file.
sub start {
    my ($class, %o) = @_;
    my $self = bless { %o }, $class;
    push @running, $self;
    return $self->again;
}

# Starts the same program anew.
sub again {
    my ($self) = @_;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        setpgrp;
        %ENV = (PATH => $ENV{PATH}, (map { $_ => $ENV{$_} } grep { defined $ENV{$_} } qw(ASAN_OPTIONS UBSAN_OPTIONS)),
            %{ $self->{env} // {} });
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $self->{log};
        open STDERR, '>>', $self->{log};
        { no warnings 'exec'; exec @{ $self->{cmd} } }
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    return $self;
}

# A worker listening on DIR/NAME.sock; returns when it listens.
sub worker {
    my ($class, $name, $dir, %env) = @_;
    my $self = $class->start(
        cmd => [ $class->program($name) ], log => "$dir/$name.log",
        env => { PUNIT_UNIT => 'eu', PUNIT_SOCKET => "$dir/$name.sock", PUNIT_THREADS => 16, PUNIT_PG_POOL => 4, %env },
    );
    return $self->listening("$dir/$name.sock");
}

sub memcached {
    my ($class, $socket) = @_;
    my $self = $class->start(
        cmd => ['memcached', '-s', $socket, '-a', '0777', '-m', '16', $> == 0 ? ('-u', 'punit') : ()],
        log => "$socket.log", socket => $socket,
    );
    return $self->listening($socket);
}

sub listening {
    my ($self, $socket) = @_;
    $self->until(sub { IO::Socket::UNIX->new(Peer => $socket) }, "listens on $socket");
    $self->{socket} = $socket;
    return $self;
}

# Waits until the condition holds; dies after 20 s, or when the process has ended.
sub until {
    my ($self, $condition, $what, $seconds) = @_;
    my $end = time + ($seconds // 20);
    while (!$condition->()) {
        croak "@{$self->{cmd}} has ended before it $what, see $self->{log}" if $self->{pid} && !$self->alive;
        croak "@{$self->{cmd}}: not in time: $what, see $self->{log}" if time > $end;
        sleep 0.02;
    }
    return $self;
}

sub alive {
    my ($self) = @_;
    return 0 unless $self->{pid};
    return 1 if waitpid($self->{pid}, WNOHANG) == 0;
    $self->{status} = $?;
    delete $self->{pid};
    return 0;
}

sub signal { my ($self, $signal) = @_; kill $signal, $self->{pid} if $self->{pid}; return $self }

# Ends it; gives the wait status.
sub stop {
    my ($self, $signal) = @_;
    return $self->{status} unless $self->{pid};
    $self->signal('CONT')->signal($signal // 'TERM');
    my $end = time + 10;
    while ($self->alive) {
        $self->signal('KILL') if time > $end;
        sleep 0.01;
    }
    return $self->{status};
}

sub log_text {
    my ($self) = @_;
    open my $f, '<', $self->{log} or return '';
    local $/;
    return scalar <$f>;
}

END {
    if ($$ == $test_pid) {
        my $status = $?;
        $_->stop for @running;
        for my $p (@running) {
            if ($p->log_text =~ /(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)/) {
                Test::More::diag("$1 in $p->{log}");
                $status ||= 1;
            }
        }
        if ($status || !eval { Test::More->builder->is_passing }) {
            Test::More::diag("log of $_->{cmd}[0]: $_->{log}") for @running;
            # tempdir(CLEANUP => 1) of the test: what failed stays
            $File::Temp::KEEP_ALL = 1;
        }
        $? = $status;
    }
}

1;
