package Punit::Worker;

# A service's worker on a unit's test database, asked as NGINX would: short forms of Punit::Process and
# Punit::FastCGI.
#
#   my $pg = Punit::Worker->database('eu');              # all of sql/ below the mesh
#   my $sports = Punit::Worker->new($pg, 'sports');
#   my $a = $sports->get('/sports?limit=3');
#   my $b = $sports->post('/activities', { sport_id => ... }, user => $user, key => 'k1');
#   $b->{status}, $b->{json}{id}, $b->{headers}{location}, $b->{pointers}
#
# Options are those of Punit::FastCGI; a body is text or a structure.

use strict;
use warnings;
use Carp qw(croak);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Test::More ();

use Punit::FastCGI;
use Punit::Postgres;
use Punit::Process;

my (@dirs, $test_pid);
$test_pid = $$;

sub database {
    my ($class, $unit) = @_;
    return Punit::Postgres->new(unit => $unit)->apply();
}

# env: further variables of the worker
sub new {
    my ($class, $pg, $service, %env) = @_;
    my $dir = tempdir("punit-$service-XXXXXX", DIR => '/tmp');
    push @dirs, $dir;
    my $process = Punit::Process->worker($service, $dir, PUNIT_UNIT => $pg->unit, PUNIT_PG => $pg->conninfo, %env);
    return bless { process => $process, fcgi => Punit::FastCGI->new("$dir/$service.sock") }, $class;
}

sub call {
    my ($self, $method, $path, $body, %o) = @_;
    ($path, my $query) = split /\?/, $path, 2;
    my $a = $self->{fcgi}->request($method, $path, query => $query, body => $body, %o);
    # what a 422 complains of
    $a->{pointers} = join ' ', map { $_->{pointer} } @{ $a->{json}{errors} // [] } if ref $a->{json} eq 'HASH';
    return $a;
}

sub get    { my ($self, $path, %o) = @_; return $self->call('GET', $path, undef, %o) }
sub delete { my ($self, $path, %o) = @_; return $self->call('DELETE', $path, undef, %o) }
sub post   { my ($self, $path, $body, %o) = @_; return $self->call('POST', $path, $body, %o) }
sub put    { my ($self, $path, $body, %o) = @_; return $self->call('PUT', $path, $body, %o) }
sub patch  { my ($self, $path, $body, %o) = @_; return $self->call('PATCH', $path, $body, %o) }

# All items of a list, page after page. between: called after each page.
sub items {
    my ($self, $path, %o) = @_;
    my $between = delete $o{between};
    my (@items, $cursor);
    do {
        my $a = $self->get($path . ($path =~ /\?/ ? '&' : '?') . ($cursor ? "cursor=$cursor" : ''), %o);
        croak "$path: $a->{status} $a->{body}" if $a->{status} != 200;
        push @items, @{ $a->{json}{items} };
        $cursor = $a->{json}{next};
        $between->() if $between;
    } while ($cursor);
    return @items;
}

END {
    if ($$ == $test_pid && !$? && eval { Test::More->builder->is_passing }) {
        remove_tree($_) for @dirs;
    }
}

1;
