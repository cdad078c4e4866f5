package Punit::Grid;

# A memcached that stands in for a unit's grid. The test writes to it as punit-gridd and the workers
# do.
#
#   my $grid = Punit::Grid->new("$dir/grid.sock");                # or '127.0.0.1:PORT'
#   $grid->generation(sports => 7);  # and nobody has an older one any more
#   $grid->put($grid->key('sports', '/sports', 'level=a'), 7, 'etag', '{"items":[]}');
#   $grid->asked;  # keys that it was asked for so far

use strict;
use warnings;
use parent qw(Punit::Server Punit::Memcached);
use Digest::SHA qw(sha256_hex);
use Time::HiRes qw(sleep);

use Punit::Command qw(punit_user);

sub new {
    my ($class, $address, %o) = @_;
    my ($host, $port) = $address =~ m{^([\d.]+):(\d+)$};
    my $self = $class->Punit::Server::new(
        address => $address,
        $port ? (port => $port) : (socket => $address),
        cmd => [
            'memcached', '-m', '16',
            $port ? ('-l', $host, '-p', $port) : ('-s', $address, '-a', '0777'),
            $> == 0 ? ('-u', (punit_user())[0]) : ()
        ],
        log => $o{log} // "$address.log",
    );
    return $self->start;
}

sub key {
    my ($self, $service, $path, @args) = @_;
    return "punit:doc:$service:" . sha256_hex("GET\n$path\n" . join '', map {"$_\n"} @args);
}

sub put {
    my ($self, $key, $flags, $etag, $body) = @_;
    return $self->set($key, $flags, qq("$etag" application/json\n$body));
}

# Known to everybody when this returns: NGINX keeps a generation for 10 ms.
sub generation {
    my ($self, $service, $gen) = @_;
    $self->raise($service, $gen);
    sleep 0.03;
    return;
}

sub raise {
    my ($self, $service, $gen) = @_;
    return $self->set("punit:gen:$service", 0, $gen);
}

sub asked { my ($self) = @_; return $self->stat('cmd_get') }

1;
