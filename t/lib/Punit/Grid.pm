package Punit::Grid;

# A memcached that stands in for a unit's grid, written to as punit-gridd and the workers do.
#
#   my $grid = Punit::Grid->new("$dir/grid.sock");
#   $grid->generation(sports => 7);                               # and nobody has an older one any more
#   $grid->put($grid->key('sports', '/sports', 'level=a'), 7, 'etag', '{"items":[]}');
#   $grid->asked;                                                 # keys that it was asked for so far

use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA qw(sha256_hex);
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

use Punit::Process;

sub new {
    my ($class, $socket) = @_;
    return bless { socket => $socket, process => Punit::Process->memcached($socket) }, $class;
}

sub process { return $_[0]{process} }

# A command and its data; gives the first line of the answer.
sub command {
    my ($self, $command, $data) = @_;
    my $s = $self->_say($command, defined $data ? $data : ());
    return scalar <$s>;
}

sub key {
    my ($self, $service, $path, @args) = @_;
    return "punit:doc:$service:" . sha256_hex("GET\n$path\n" . join '', map { "$_\n" } @args);
}

sub put {
    my ($self, $key, $flags, $etag, $body) = @_;
    my $value = "\"$etag\" application/json\n$body";
    $self->command("set $key $flags 0 " . length $value, $value);
    return;
}

# Known to everybody when this returns: one that was just asked for is kept for 10 ms.
sub generation {
    my ($self, $service, $gen) = @_;
    $self->raise($service, $gen);
    sleep 0.03;
    return;
}

sub raise {
    my ($self, $service, $gen) = @_;
    $self->command("set punit:gen:$service 0 0 " . length $gen, $gen);
    return;
}

sub asked {
    my ($self) = @_;
    my $s = $self->_say('stats');
    while (my $line = <$s>) {
        return $1 if $line =~ /^STAT cmd_get (\d+)/;
    }
    croak 'memcached gave no stats';
}

sub _say {
    my ($self, @lines) = @_;
    my $s = IO::Socket::UNIX->new(Peer => $self->{socket}) or croak "memcached: $!";
    print $s map { "$_\r\n" } @lines;
    $s->flush;
    return $s;
}

1;
