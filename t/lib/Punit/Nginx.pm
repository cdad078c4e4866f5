package Punit::Nginx;

# NGINX with the built module, for a test: own directory, free ports, an unprivileged user. It is
# waited for, stopped by its pid, and its log must hold no alert, emerg or sanitizer report.
#
#   my $n = Punit::Nginx->new;  # its directory is $n->dir, ports are $n->port('http')
#   $n->http("punit_zone z 1m; ... server { listen 127.0.0.1:@{[$n->port('http')]}; }");
#   $n->start;  $n->reload;  $n->stop;  # stop gives what is wrong with the log, '' if nothing
#   my ($ok, $text) = $n->check($http);           # nginx -t
#   Punit::Nginx->new(daemon => 1)  # goes into the background, so that it can be upgraded (USR2)

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use File::Copy qw(copy);
use File::Path qw(make_path);
use IO::Socket::INET;

use Punit::Client;
use Punit::Command qw(as_punit capture punit_user);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory free_port);
use Punit::Tree qw(module);

my $nginx = $ENV{PUNIT_NGINX} // 'nginx';
($nginx) = grep {-x} map {"$_/nginx"} split(/:/, $ENV{PATH}), '/usr/sbin'
    if $nginx !~ m{/};    # USR2 knows no PATH
my $preload =
    $ENV{PUNIT_PRELOAD};    # the sanitizers' libraries, when only the module was built with them

sub new {
    my ($class, %o) = @_;
    my $dir = directory('nginx');
    make_path("$dir/logs", "$dir/tmp");
    my $self = Punit::Server::new(
        $o{daemon} ? 'Punit::Nginx::Daemon' : $class,
        dir => $dir, log => "$dir/logs/output.log", ports => {}, workers => 1, %o
    );
    !module() or copy(module(), "$dir/module.so") or croak module() . ": $!, build it first";
    return $self;
}

sub dir { return $_[0]{dir} }

# A free port by name: always the same for a name.
sub port {
    my ($self, $name) = @_;
    return $self->{ports}{$name} //= free_port($self->{held} //= []);    # held until all are known
}

# One request on a connection of its own: to the port named http, or as `port` says. The rest as of
# Punit::Client.
sub ask {
    my ($self, $method, $path, %o) = @_;
    return Punit::Client->once($self->port(delete $o{port} // 'http'), $method, $path, %o);
}

# The text of the http block; what is common to all tests is added.
sub http {
    my ($self, $text) = @_;
    delete $self->{held};
    my $dir = $self->{dir};
    my $temp = join "\n",
        map {"    ${_}_temp_path tmp/$_;"} qw(client_body proxy fastcgi uwsgi scgi);
    spew("$dir/nginx.conf", <<"EOF_CONF");
@{[module() ? "load_module $dir/module.so;" : '']}
pid $dir/nginx.pid;
env LD_PRELOAD;
env ASAN_OPTIONS;
env UBSAN_OPTIONS;
error_log $dir/logs/error.log @{[$self->{level} // 'info']};
worker_processes $self->{workers};
daemon @{[$self->{daemon} ? 'on' : 'off']};
@{[$self->{main} // '']}
events { worker_connections 512; }
http {
    log_format t '\$request|\$status|\$punit_route|\$punit_owner|'
                 '\$punit_user|\$punit_verdict|\$punit_why';
    access_log $dir/logs/access.log t;
$temp
$text
}
EOF_CONF
    _chown($dir);
    return $self;
}

sub _command {
    my ($self, @more) = @_;

    # nginx ends without freeing its arrays of connections and events, which would count as leaks
    my @environment = (
        'env', 'ASAN_OPTIONS=' . join(':', 'detect_leaks=0', $ENV{ASAN_OPTIONS} // ()),
        $preload ? "LD_PRELOAD=$preload" : ());
    my $dir = $self->{dir};
    return (as_punit(), @environment, $nginx, '-p', $dir, '-e', "$dir/logs/error.log", '-c',
        "$dir/nginx.conf", @more);
}

# nginx -t: (accepted, what it said)
sub check {
    my ($self, $text) = @_;
    $self->http($text) if defined $text;
    my ($status, $said) = capture($self->_command('-t'));
    truncate "$self->{dir}/logs/error.log", 0;
    return ($status == 0, $said);
}

sub launch {
    my ($self) = @_;
    $self->{cmd} = [$self->_command];

    # input is a socket of a supervisor, which outlives NGINX
    unshift @{ $self->{cmd} }, 'sh', '-c',
        'export NGINX="3;"; exec 3<&0 0</dev/null; exec "$@"', 'sh'
        if $self->{input};
    @$self{qw(runs judged ended)} = (1, 0, 0);
    return $self->SUPER::launch;
}

# True once its workers are there and all of its ports take connections.
sub ready {
    my ($self) = @_;
    for my $port (values %{ $self->{ports} }) {
        next if $self->{not_listening}{$port};
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return 0;
    }
    return -s "$self->{dir}/nginx.pid" && $self->{workers} <= (my @workers = $self->pids);
}

# The port of this name is somebody else's, or nobody's: it is not waited for.
sub foreign {
    my ($self, $name) = @_; my $port = $self->port($name); $self->{not_listening}{$port} = 1;
    return $port
}

sub master { my ($self) = @_; return $self->{pid} }

# The workers, of this master or of another.
sub pids {
    my ($self, $master) = @_;
    $master //= $self->master or return;
    return split ' ', slurp("/proc/$master/task/$master/children", absent => '');
}

# New workers, the old ones gone or going.
sub reload {
    my ($self) = @_;
    my %old = map { $_ => 1 } $self->pids;
    $self->signal('HUP');
    $self->until(
        sub {
            my @new = grep { !$old{$_} } $self->pids; @new >= $self->{workers}
        },
        'has new workers'
    );
    $self->until(
        sub {
            !grep { $old{$_} } $self->pids
        },
        'has ended its old workers',
        30
    );
    return $self;
}

sub logs {
    my ($self) = @_; return map {"$self->{dir}/logs/$_"} qw(error.log output.log)
}

sub log_text {
    my ($self, $name) = @_;
    return slurp("$self->{dir}/logs/" . ($name // 'error.log'), absent => '');
}

# Quits. Returns what is wrong with its logs, '' if nothing. The test judges that, so its end does
# not.
sub stop {
    my ($self, $signal) = @_;
    return '' unless $self->{runs};
    $self->end($signal);
    my $bad = join '', map {s/^[^:]+: //r} $self->complaints;
    $self->{judged} = 1;
    return $bad;
}

sub end {
    my ($self, $signal) = @_;
    delete $self->{runs} or return;
    $self->{ended} = $self->quit($signal // 'QUIT');
    return;
}

sub quit { my ($self, $signal) = @_; return $self->SUPER::stop($signal) }

sub complaints {
    my ($self) = @_;
    return if $self->{judged};
    return ($self->SUPER::complaints,
        $self->{ended} ? "$self->{dir}: ended with status $self->{ended}\n" : ());
}

# What stands in the directory belongs to the user that all of it runs as.
sub _chown {
    my ($dir) = @_;
    return if $> != 0;
    my (undef, $uid, $gid) = punit_user();
    chown $uid, $gid, $dir;
    chmod 0755, $dir;
    for (glob "$dir/*") {
        -d $_ ? _chown($_) : chown $uid, $gid, $_;
    }
    return;
}

# A master in the background: no child of the test, and another one after an upgrade.
package Punit::Nginx::Daemon;

our @ISA = ('Punit::Nginx');

use Punit::File qw(slurp);
use Punit::Wait qw(wait_until);

sub launch {
    my ($self) = @_;
    $self->SUPER::launch;
    waitpid $self->{pid}, 0;
    die "@{ $self->{cmd} } failed, see $self->{dir}/logs" if $?;
    return $self->until(sub { $self->current }, 'has a pid');
}

# the master that the pid file names
sub current {
    my ($self) = @_;
    my ($pid) = slurp("$self->{dir}/nginx.pid", absent => '') =~ /^(\d+)\n/ or return;
    return $self->{pid} = $pid;
}

# A zombie, which its parent has not reaped yet, is gone too.
sub gone {
    my ($class, $pid) = @_;
    return slurp("/proc/$pid/stat", absent => ') Z') =~ /\) Z/;
}

sub alive { my ($self) = @_; return $self->{pid} && !$self->gone($self->{pid}) }

# Both masters of an upgrade that has not ended.
sub quit {
    my ($self, $signal) = @_;
    my @pids = map { slurp("$self->{dir}/$_", absent => '') =~ /^(\d+)/ } 'nginx.pid',
        'nginx.pid.oldbin';
    kill $signal, @pids;
    wait_until(
        sub {
            !grep { !$self->gone($_) } @pids
        },
        10
    ) or kill 'KILL', map { $_, $self->pids($_) } @pids;
    return 0;
}

1;
