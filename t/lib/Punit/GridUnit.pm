package Punit::GridUnit;

# NGINX whose reference data, /training/..., comes from a grid, or else from a location that says
# "local"; and what stands in that grid.
#
#   my $g = Punit::GridUnit->new;
#   $g->start("unix:$socket");                     # stops what ran before
#   $grid->raise(training => $g->{gen});           # a Punit::Grid
#   $g->publish($grid, '/training/x', 'text');
#   my $a = $g->get('/training/x');  route($a)     # grid

use strict;
use warnings;
use Exporter qw(import);
use Digest::SHA qw(sha256_hex);

use Punit::Client;
use Punit::Nginx;
use Punit::Token;

our @EXPORT_OK = qw(doc_key document route);

sub new {
    my ($class) = @_;
    my $nginx = Punit::Nginx->new;
    Punit::Token->new($nginx->dir . '/keys')->hs256('eu-1');
    return bless { nginx => $nginx, port => $nginx->port('http'), gen => 41 }, $class;
}

sub nginx { return $_[0]{nginx} }
sub dir { return $_[0]{nginx}->dir }

sub conf {
    my ($self, $grid, %o) = @_;
    my $upstreams = $o{upstreams} // '';
    return <<"EOF_CONF";
    punit_zone punit 4m;
    punit_unit eu;
    punit_keys keys;
    punit_grid_near off;
    punit_token_check off;
    $upstreams
    server {
        listen 127.0.0.1:$self->{port};
        location /training/ {
            punit_scope reference optional;
            punit_grid $grid;
            punit_local \@local;
        }
        location = /pid { return 200 \$pid; }
        location \@local { return 200 local; }
    }
EOF_CONF
}

sub start {
    my ($self, @conf) = @_;
    my $bad = $self->stop;
    die "log: $bad" if $bad;
    $self->{nginx}->http($self->conf(@conf))->start;
    return $self;
}

# What is wrong with the log, but for a server that could not be connected to (nginx: crit for unix
# sockets).
sub stop {
    my ($self) = @_;
    my $bad = $self->{nginx}->stop;
    return $bad . join '',
        grep {/\[crit\](?!.*connect\(\) to unix)|open socket/}
        map {/(.*\n)/g} $self->{nginx}->log_text;
}

sub client { my ($self) = @_; return Punit::Client->new($self->{port}) }

# a request that is on its way: $s->receive('GET')
sub ask { my ($self, $path, %h) = @_; return $self->client->send(GET => $path, headers => [%h]) }

sub get {
    my ($self, $path, %h) = @_;
    my $method = delete $h{method} // 'GET';
    return $self->client->request($method, $path, headers => [%h]);
}

sub publish {
    my ($self, $grid, $path, $text, $flags) = @_;
    return $grid->set(doc_key($path), $flags // $self->{gen}, document($text));
}

sub route { my ($a) = @_; return $a->{headers}{'punit-route'} // '-' }

sub doc_key { return 'punit:doc:training:' . sha256_hex("GET\n$_[0]\n") }
sub document { my ($text) = @_; return qq("etag-) . sha256_hex($text) . qq(" text/plain\n$text) }

1;
