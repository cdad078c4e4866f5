package Punit::Bench::Server;

# The servers of the bench: the files of bench/conf with their {names} filled in. Each server has a
# directory of its own, and a free port or a unix socket. It runs as user punit, and ends by pid with
# the bench.
#
#   my $s = Punit::Bench::Server->nginx($dir, 'memcached', grid => $socket);   # bench/conf/memcached.conf
#   $s->url('/sports');  $s->workers;                                          # pids that do the work

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use File::Path qw(make_path);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);

use Punit::Process;

(my $root = abs_path(__FILE__)) =~ s{/bench/lib/Punit/Bench/Server\.pm$}{};
my @owner = $> == 0 ? (getpwnam('punit'))[2, 3] : ();
croak 'no user punit: make deps' if $> == 0 && !@owner;

# files: more of bench/conf that it needs; name: to have two of a kind.
sub nginx {
    my ($class, $dir, $conf, %value) = @_;
    my @files = @{ delete $value{files} // [] };
    my $self = $class->_new($dir, delete $value{name} // $conf, %value);
    make_path("$self->{dir}/tmp");
    $self->_fill($_) for 'main.conf', 'common.conf', @files;
    $self->_shipped($_) for qw(punit_fastcgi_params punit_proxy_params);
    $self->_fill("$conf.conf");
    $class->own($self->{dir}, "$self->{dir}/tmp");
    $self->{process} = Punit::Process->start(
        cmd => [_as_punit(), 'nginx', '-p', $self->{dir}, '-e', "$self->{dir}/error.log", '-c', "$self->{dir}/$conf.conf"],
        log => "$self->{dir}/output.log",
    );
    return $self->_listens;
}

sub haproxy {
    my ($class, $dir, $name, %value) = @_;
    my $self = $class->_new($dir, $name, %value);
    $self->_fill('haproxy.cfg');
    $self->{process} = Punit::Process->start(
        cmd => [_as_punit(), 'haproxy', '-db', '-f', "$self->{dir}/haproxy.cfg"], log => "$self->{dir}/output.log",
    );
    return $self->_listens;
}

sub memcached {
    my ($class, $dir, $name) = @_;
    return Punit::Process->memcached("$dir/$name.sock");
}

# Stands in for the workers: a thread for each connection that any NGINX of the bench keeps, or one starves another.
sub responder {
    my ($class, $dir) = @_;
    my $socket = "$dir/worker.sock";
    my $process = Punit::Process->start(
        cmd => [_as_punit(), "$root/build/bench/responder", $socket, 256], log => "$dir/worker.log",
    );
    return $process->listening($socket);
}

# Stands in for the mover: takes what it is sent and forgets it.
sub mover {
    my ($class, $dir) = @_;
    my $socket = IO::Socket::UNIX->new(Local => "$dir/mover.sock", Type => SOCK_DGRAM) or croak "mover.sock: $!";
    chmod 0666, "$dir/mover.sock";
    return Punit::Process->start(
        cmd => [$^X, '-e', 'open my $s, "<&=", $ARGV[0] or die; 1 while defined recv $s, my $m, 8192, 0', _inherited($socket)],
        log => "$dir/mover.log",
    );
}

# Gives files to the user that all of it runs as.
sub own { my ($class, @what) = @_; chown @owner, @what if @owner; return }

sub port { return $_[0]{port} }
sub dir { return $_[0]{dir} }
sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}$path" }

# The processes that answer requests: an NGINX master's children, else itself.
sub workers {
    my ($self) = @_;
    my $pid = $self->{process}{pid};
    open my $f, '<', "/proc/$pid/task/$pid/children" or croak "$self->{name} is gone: see $self->{dir}";
    my @children = split ' ', <$f> // '';
    return @children ? @children : ($pid);
}

sub _new {
    my ($class, $dir, $name, %value) = @_;
    my $free = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or croak "listen: $!";
    my $self = bless { name => $name, dir => "$dir/$name", port => $free->sockport }, $class;
    make_path($self->{dir});
    $class->own($self->{dir});
    $self->{value} = { %value, dir => $self->{dir}, port => $self->{port} };
    return $self;
}

sub _fill {
    my ($self, $file) = @_;
    open my $in, '<', "$root/bench/conf/$file" or croak "bench/conf/$file: $!";
    my $text = do { local $/; <$in> };
    $text =~ s/\{([a-z]+)\}/$self->{value}{$1} \/\/ croak "bench\/conf\/$file: nothing for {$1}"/ge;
    open my $out, '>', "$self->{dir}/$file" or croak "$self->{dir}/$file: $!";
    print $out $text;
    close $out or croak $!;
    return;
}

# A file of conf/, but that no peer of the bench speaks TLS.
sub _shipped {
    my ($self, $file) = @_;
    open my $in, '<', "$root/conf/$file" or croak "conf/$file: $!";
    open my $out, '>', "$self->{dir}/$file" or croak "$self->{dir}/$file: $!";
    print $out grep { !/^proxy_ssl_/ } <$in>;
    close $out or croak $!;
    return;
}

sub _listens {
    my ($self) = @_;
    $self->{process}->until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) }, 'listens');
    return $self;
}

sub _as_punit { return $> == 0 ? qw(setpriv --reuid=punit --regid=punit --clear-groups) : () }

# The number of a handle that stays open in the program that is started.
sub _inherited {
    my ($handle) = @_;
    require Fcntl;
    fcntl $handle, Fcntl::F_SETFD(), 0 or croak $!;
    return fileno $handle;
}

1;
