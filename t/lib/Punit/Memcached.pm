package Punit::Memcached;

# What is said to a memcached, over a connection for each command.
#
#   my $m = Punit::Memcached->new("$dir/grid.sock");     # or '127.0.0.1:11211'
#   $m->set($key, 7, 'text');  my ($value, $flags) = $m->get($key); $m->stat('cmd_get'); $m->flush;
#
# `get`, `stat` and `command` return nothing if it cannot be connected to.

use strict;
use warnings;
use Carp qw(croak);
use IO::Socket::INET;
use IO::Socket::UNIX;

sub new {
    my ($class, $address) = @_;
    return bless { address => $address }, $class;
}

sub address { return $_[0]{address} }

sub connect {
    my ($self) = @_;
    my $address = $self->address;
    return $address =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => $address)
        : IO::Socket::INET->new(PeerAddr => $address);
}

# A command, and its data; returns the connection, from which the answer comes.
sub say {
    my ($self, @lines) = @_;
    my $s = $self->connect or return;
    print {$s} map {"$_\r\n"} @lines;
    $s->flush;
    return $s;
}

# Returns the first line of the answer.
sub command {
    my ($self, @lines) = @_;
    my $s = $self->say(@lines) or return;
    return scalar <$s>;
}

# The value; in list context (value, flags). Nothing if the key is not there.
sub get {
    my ($self, $key) = @_;
    my $s = $self->say("get $key") or return;
    my $line = <$s> // return;
    my ($flags, $length) = $line =~ /^VALUE \S+ (\d+) (\d+)/ or return;
    read $s, my ($value), $length;
    return wantarray ? ($value, $flags) : $value;
}

# seconds: how long it lives; by default for ever
sub set {
    my ($self, $key, $flags, $value, $seconds) = @_;
    my $answer = $self->command("set $key $flags " . ($seconds // 0) . ' ' . length $value, $value)
        // croak $self->address . ": $!";
    $answer eq "STORED\r\n" or croak "set $key: $answer";
    return;
}

sub stat {
    my ($self, $name) = @_;
    my $s = $self->say('stats') or return;
    while (defined(my $line = <$s>)) {
        return $1 if $line =~ /^STAT \Q$name\E (\S+)/;
        last if $line eq "END\r\n";
    }
    croak "memcached has no stat $name";
}

sub flush { my ($self) = @_; return $self->command('flush_all') }

1;
