package Punit::Bench::Server;

# The servers of the bench: the files of bench/conf with their {names} filled in. Each server has a
# directory of its own, and a free port or a unix socket. It runs as user punit, and ends by pid
# with the bench.
#
#   # bench/conf/memcached.conf
#   my $s = Punit::Bench::Server->nginx($dir, 'memcached', grid => $socket);
#   $s->url('/sports');  $s->workers;  # pids that do the work

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use File::Path qw(make_path);
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);

use Punit::Command qw(as_punit punit_user);
use Punit::File qw(slurp spew);
use Punit::Grid;
use Punit::Server qw(free_port);
use Punit::Tree qw(root);

# files: more of bench/conf that it needs; name: to have two of a kind.
sub nginx {
    my ($class, $dir, $conf, %value) = @_;
    my @files = @{ delete $value{files} // [] };
    my $self = $class->_new($dir, delete $value{name} // $conf, %value);
    $self->{cmd} = [
        as_punit(), 'nginx', '-p', $self->{dir}, '-e', "$self->{dir}/error.log", '-c',
        "$self->{dir}/$conf.conf"
    ];
    make_path("$self->{dir}/tmp");
    $self->_fill($_) for 'main.conf', 'common.conf', @files;
    $self->_shipped($_) for qw(punit_fastcgi_params punit_proxy_params);
    $self->_fill("$conf.conf");
    $class->own($self->{dir}, "$self->{dir}/tmp");
    return $self->start;
}

sub haproxy {
    my ($class, $dir, $name, %value) = @_;
    my $self = $class->_new($dir, $name, %value);
    $self->_fill('haproxy.cfg');
    $self->{cmd} = [as_punit(), 'haproxy', '-db', '-f', "$self->{dir}/haproxy.cfg"];
    return $self->start;
}

sub memcached {
    my ($class, $dir, $name) = @_;
    return Punit::Grid->new("$dir/$name.sock");
}

# Stands in for the workers: a thread for each connection that any NGINX of the bench keeps, or one
# starves another.
sub responder {
    my ($class, $dir) = @_;
    my $socket = "$dir/worker.sock";
    return Punit::Server->new(
        cmd => [as_punit(), root() . '/build/bench/responder', $socket, 256],
        log => "$dir/worker.log", socket => $socket,
    )->start;
}

# Stands in for the mover: takes what it is sent and forgets it.
sub mover {
    my ($class, $dir) = @_;
    my $socket = IO::Socket::UNIX->new(Local => "$dir/mover.sock", Type => SOCK_DGRAM)
        or croak "mover.sock: $!";
    chmod 0666, "$dir/mover.sock";
    my $forget = 'open my $s, "<&=", $ARGV[0] or die; 1 while defined recv $s, my $m, 8192, 0';
    return Punit::Server->new(cmd => [$^X, '-e', $forget, _inherited($socket)],
        log => "$dir/mover.log")->start;
}

# Gives files to the user that all of it runs as.
sub own {
    my ($class, @what) = @_;
    chown((punit_user())[1, 2], @what);
    return;
}

sub port { return $_[0]{port} }
sub dir { return $_[0]{dir} }
sub logs {
    my ($self) = @_; return map {"$self->{dir}/$_"} qw(error.log output.log)
}
sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}$path" }

# The processes that answer requests: an NGINX master's children, else itself.
sub workers {
    my ($self) = @_;
    my $pid = $self->pid or croak "$self->{name} is gone: see $self->{dir}";
    my @children = split ' ', slurp("/proc/$pid/task/$pid/children");
    return @children ? @children : ($pid);
}

sub _new {
    my ($class, $dir, $name, %value) = @_;
    my $self = $class->SUPER::new(name => $name, dir => "$dir/$name", port => free_port(),
        log => "$dir/$name/output.log");
    make_path($self->{dir});
    $class->own($self->{dir});
    $self->{value} = { %value, dir => $self->{dir}, port => $self->{port} };
    return $self;
}

sub _fill {
    my ($self, $file) = @_;
    my $text = slurp(root() . "/bench/conf/$file");
    $text =~ s/\{([a-z]+)\}/$self->{value}{$1} \/\/ croak "bench\/conf\/$file: nothing for {$1}"/ge;
    spew("$self->{dir}/$file", $text);
    return;
}

# A file of conf/, but that no peer of the bench speaks TLS.
sub _shipped {
    my ($self, $file) = @_;
    spew("$self->{dir}/$file", grep { !/^proxy_ssl_/ } split /^/, slurp(root() . "/conf/$file"));
    return;
}

# The number of a handle that stays open in the program that is started.
sub _inherited {
    my ($handle) = @_;
    require Fcntl;
    fcntl $handle, Fcntl::F_SETFD(), 0 or croak $!;
    return fileno $handle;
}

1;
