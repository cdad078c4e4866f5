package Punit::Worker;

# A service's worker on a unit's test database, asked as NGINX would.
#
#   my $pg = Punit::Worker->database('eu');              # all of sql/ below the mesh
#   my $sports = Punit::Worker->new($pg, 'sports', PUNIT_GRID => ...);
#   my $a = $sports->get('/sports?limit=3');
#   my $b = $sports->post('/activities', { sport_id => ... }, user => $user, key => 'k1');
#   $b->{status}, $b->{json}{id}, $b->{headers}{location}, $b->{pointers}
#
# Options of a request are those of Punit::FastCGI; a body is text or a structure.

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);

use Punit::FastCGI;
use Punit::Postgres;
use Punit::Server qw(directory);
use Punit::Tree qw(program);

sub database {
    my ($class, $unit) = @_;
    return Punit::Postgres->new(unit => $unit)->apply();
}

# env: further variables of the worker. PUNIT_SOCKET says where it listens, else it is in a
# directory of its own.
sub new {
    my ($class, $pg, $service, %env) = @_;
    my $dir = $env{PUNIT_DIR} // directory($service);
    my $socket = $env{PUNIT_SOCKET} // "$dir/$service.sock";
    my $self = $class->SUPER::new(
        cmd => [program("punit-$service")], log => "$dir/$service.log", socket => $socket,
        directory => $dir,
        fcgi => Punit::FastCGI->new($socket),
        env => {
            PUNIT_UNIT => $pg->unit, PUNIT_PG => $pg->conninfo, PUNIT_SOCKET => $socket,
            PUNIT_THREADS => 16,
            PUNIT_PG_POOL => 4, %env
        },
    );
    return $self->start;
}

sub dir { return $_[0]{directory} }
sub fcgi { return $_[0]{fcgi} }

# Another connection to it.
sub connection { my ($self) = @_; return Punit::FastCGI->new($self->{socket}) }

# As of Punit::FastCGI: the path and its query apart.
sub request { my ($self, @request) = @_; return $self->{fcgi}->request(@request) }
sub send_only { my ($self, @request) = @_; return $self->{fcgi}->send_only(@request) }
sub collect { my ($self, $running) = @_; return $self->{fcgi}->collect($running) }

sub call {
    my ($self, $method, $path, $body, %o) = @_;
    ($path, my $query) = split /\?/, $path, 2;
    my $a = $self->request($method, $path, query => $query, body => $body, %o);
    # what a 422 complains of
    $a->{pointers} = join ' ', map { $_->{pointer} } @{ $a->{json}{errors} // [] }
        if ref $a->{json} eq 'HASH';
    return $a;
}

sub get { my ($self, $path, %o) = @_; return $self->call('GET', $path, undef, %o) }
sub delete { my ($self, $path, %o) = @_; return $self->call('DELETE', $path, undef, %o) }
sub post { my ($self, $path, $body, %o) = @_; return $self->call('POST', $path, $body, %o) }
sub put { my ($self, $path, $body, %o) = @_; return $self->call('PUT', $path, $body, %o) }
sub patch { my ($self, $path, $body, %o) = @_; return $self->call('PATCH', $path, $body, %o) }

# All items of a list, page after page. between: called after each page.
sub items {
    my ($self, $path, %o) = @_;
    my $between = delete $o{between};
    my (@items, $cursor);
    do {
        my $a =
            $self->get($path . ($path =~ /\?/ ? '&' : '?') . ($cursor ? "cursor=$cursor" : ''), %o);
        croak "$path: $a->{status} $a->{body}" if $a->{status} != 200;
        push @items, @{ $a->{json}{items} };
        $cursor = $a->{json}{next};
        $between->() if $between;
    } while ($cursor);
    return @items;
}

1;
