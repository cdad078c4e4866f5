package Punit::Mover;

# A real punit-mover beside a Punit::Postgres: started with an environment, sent the datagrams that the NGINX module
# sends, killed in ways a test asks for. Its log stays, and is named, when the test fails.

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Socket qw(SOCK_DGRAM);
use Test::More ();
use Time::HiRes qw(time sleep);

(my $root = abs_path(__FILE__)) =~ s{/t/lib/Punit/Mover\.pm$}{};
my $program = $ENV{PUNIT_MOVER_PROGRAM} // "$root/build/bin/punit-mover";
my @running;
my $test_pid = $$;

# %env: PUNIT_MOVE_AFTER and its like
sub new {
    my ($class, $pg, %env) = @_;
    my $self = bless { pg => $pg, env => { %env }, log => $pg->dir . '/mover.log', socket => $pg->sock . '/mover.sock' }, $class;
    push @running, $self;
    return $self->start;
}

sub log { $_[0]{log} }
sub pid { $_[0]{pid} }

sub start {
    my ($self) = @_;
    croak "no $program: run make build" unless -x $program;
    unlink $self->{socket};
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $self->{log};
        open STDERR, '>>', $self->{log};
        delete @ENV{ grep { /^PUNIT_/ } keys %ENV };
        @ENV{qw(PUNIT_UNIT PUNIT_PG PUNIT_SOCKET)} = ($self->{pg}->unit, $self->{pg}->conninfo, $self->{socket});
        $ENV{$_} = $self->{env}{$_} for keys %{ $self->{env} };
        { no warnings 'exec'; exec $program }
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    my $end = time + 10;
    until (-S $self->{socket}) {
        croak "mover does not start, see $self->{log}" if time > $end || waitpid($pid, WNOHANG) == $pid;
        sleep 0.01;
    }
    return $self;
}

# TERM, and how long it took to end
sub stop {
    my ($self, $signal) = @_;
    my $pid = delete $self->{pid} or return 0;
    my $began = time;
    kill $signal // 'TERM', $pid;
    waitpid $pid, 0;
    $self->{status} = $?;
    return time - $began;
}

sub kill9 { $_[0]->stop('KILL') }

# Lines as the module sends them.
sub send {
    my ($self, @lines) = @_;
    my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $self->{socket}) or return 0;
    return defined $s->send(join '', map { "$_\n" } @lines);
}

# `count` requests here of a user owned by `unit`
sub foreign {
    my ($self, $user, $unit, $epoch, $count) = @_;
    return $self->send(sprintf 'f %s %s %d %d', $user, $unit, $epoch // 0, $count // 1);
}

sub local { my ($self, $user) = @_; return $self->send("l $user 1") }

sub text {
    my ($self) = @_;
    open my $f, '<', $self->{log} or return '';
    local $/;
    return <$f> // '';
}

END {
    if ($$ == $test_pid) {
        my $status = $?;
        for my $m (@running) {
            $m->stop('KILL');
            if ($m->text =~ /(\w+Sanitizer.*|.*runtime error:.*)/) {
                Test::More::diag("sanitizer: $1");
                $status ||= 1;
            }
            Test::More::diag('log of the mover of ' . $m->{pg}->unit . ": $m->{log}")
                if $status || !Test::More->builder->is_passing;
        }
        $? = $status;
    }
}

1;
