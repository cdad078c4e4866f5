package Punit::Mover;

# A real punit-mover beside a Punit::Postgres. The test sends it the datagrams that the NGINX module
# sends, and kills it in the ways that it needs.

use strict;
use warnings;
use parent qw(Punit::Server);
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Time::HiRes qw(time);

use Punit::Tree qw(program);

# %env: PUNIT_MOVE_AFTER and its like
sub new {
    my ($class, $pg, %env) = @_;
    my $socket = $pg->sock . '/mover.sock';
    my $self = $class->SUPER::new(
        cmd => [$ENV{PUNIT_MOVER_PROGRAM} // program('punit-mover')],
        log => $pg->dir . '/mover.log', datagrams => $socket,
        env =>
            { PUNIT_UNIT => $pg->unit, PUNIT_PG => $pg->conninfo, PUNIT_SOCKET => $socket, %env },
    );
    return $self->start;
}

sub launch {
    my ($self) = @_;
    unlink $self->{datagrams};
    return $self->SUPER::launch;
}

sub ready { my ($self) = @_; return -S $self->{datagrams} }

# TERM. Returns the seconds that it took to end.
sub stop {
    my ($self, $signal) = @_;
    my $began = time;
    $self->SUPER::stop($signal);
    return time - $began;
}

sub kill9 { my ($self) = @_; return $self->stop('KILL') }

# Lines as the module sends them.
sub send {
    my ($self, @lines) = @_;
    my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $self->{datagrams}) or return 0;
    return defined $s->send(join '', map {"$_\n"} @lines);
}

# `count` requests here of a user owned by `unit`
sub foreign {
    my ($self, $user, $unit, $epoch, $count) = @_;
    return $self->send(sprintf 'f %s %s %d %d', $user, $unit, $epoch // 0, $count // 1);
}

sub local { my ($self, $user) = @_; return $self->send("l $user 1") }

1;
