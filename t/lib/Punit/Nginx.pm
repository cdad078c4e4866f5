package Punit::Nginx;

# NGINX with the built module, for a test: own directory, free ports, an unprivileged user. It is waited for,
# stopped by its pid, and its log must hold no alert, emerg or sanitizer report.
#
#   my $n = Punit::Nginx->new;                    # its directory is $n->dir, ports are $n->port('http')
#   $n->http("punit_zone z 1m; ... server { listen 127.0.0.1:@{[$n->port('http')]}; }");
#   $n->start;  $n->reload;  $n->stop;            # stop gives what is wrong with the log, '' if nothing
#   my ($ok, $text) = $n->check($http);           # nginx -t
#   Punit::Nginx->new(daemon => 1)                # goes into the background, so that it can be upgraded (USR2)

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX ();
use Test::More ();
use Time::HiRes qw(time sleep);

use Punit::Process;

my @all;
my $test_pid = $$;
(my $root = abs_path(__FILE__)) =~ s{/t/lib/Punit/Nginx\.pm$}{};
my $nginx = $ENV{PUNIT_NGINX} // 'nginx';
($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin' if $nginx !~ m{/};    # USR2 knows no PATH
my $preload = $ENV{PUNIT_PRELOAD};    # the sanitizers' libraries, when only the module was built with them
my $module = $ENV{PUNIT_MODULE} // "$root/build/ngx_http_punit_module.so";    # '': nginx has it built in

sub new {
    my ($class, %o) = @_;
    my $self = bless { dir => tempdir('punit-nginx-XXXXXX', DIR => '/tmp'), ports => {}, workers => 1, %o }, $class;
    make_path("$self->{dir}/logs", "$self->{dir}/tmp");
    _chown($self->{dir});
    !$module or copy($module, "$self->{dir}/module.so") or croak "$module: $!, build it first";
    push @all, $self;
    return $self;
}

sub dir { return $_[0]{dir} }

# A free port by name: always the same for a name.
sub port {
    my ($self, $name) = @_;
    return $self->{ports}{$name} //= do {
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or croak "listen: $!";
        push @{ $self->{held} }, $s;    # until all are known
        $s->sockport;
    };
}

# The text of the http block; what is common to all tests is added.
sub http {
    my ($self, $text) = @_;
    delete $self->{held};
    my $dir = $self->{dir};
    my $temp = join "\n", map { "    ${_}_temp_path tmp/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
    open my $f, '>', "$dir/nginx.conf" or croak $!;
    print $f <<"EOF_CONF";
@{[$module ? "load_module $dir/module.so;" : '']}
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
    log_format t '\$request|\$status|\$punit_route|\$punit_owner|\$punit_user|\$punit_verdict|\$punit_why';
    access_log $dir/logs/access.log t;
$temp
$text
}
EOF_CONF
    close $f or croak $!;
    _chown($dir);
    return $self;
}

sub _command {
    my ($self, @more) = @_;
    my @as = $> == 0 ? qw(setpriv --reuid=punit --regid=punit --clear-groups) : ();

    # nginx ends without freeing its arrays of connections and events, which would count as leaks
    push @as, 'env', 'ASAN_OPTIONS=' . join(':', 'detect_leaks=0', $ENV{ASAN_OPTIONS} // ()), $preload ? "LD_PRELOAD=$preload" : ();
    return (@as, $nginx, '-p', $self->{dir}, '-e', "$self->{dir}/logs/error.log", '-c', "$self->{dir}/nginx.conf", @more);
}

# nginx -t: (accepted, what it said)
sub check {
    my ($self, $text) = @_;
    $self->http($text) if defined $text;
    my @cmd = $self->_command('-t');
    my $pid = open(my $p, '-|') // croak $!;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec @cmd }
        POSIX::_exit(127);
    }
    my $said = do { local $/; <$p> };
    close $p;
    my $ok = $? == 0;
    truncate "$self->{dir}/logs/error.log", 0;
    return ($ok, $said);
}

sub start {
    my ($self) = @_;
    $self->{process} = $self->{daemon}
        ? Punit::Nginx::Daemon->start([$self->_command], $self->{dir})
        : Punit::Process->start(cmd => [$self->_command], log => "$self->{dir}/logs/output.log");
    $self->{process}->until(
        sub {
            for my $port (values %{ $self->{ports} }) {
                next if $self->{not_listening}{$port};
                IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return 0;
            }
            return -s "$self->{dir}/nginx.pid";
        },
        'listens'
    );
    return $self;
}

# Of a port that somebody else listens on, or nobody.
sub foreign { my ($self, $name) = @_; my $port = $self->port($name); $self->{not_listening}{$port} = 1; return $port }

sub master { my ($self) = @_; return $self->{process} && $self->{process}{pid} }

sub process { return $_[0]{process} }

# The workers, of this master or of another.
sub pids {
    my ($self, $master) = @_;
    $master //= $self->master or return;
    return grep { length } split /\s+/, `cat /proc/$master/task/$master/children 2>/dev/null`;
}

# New workers, the old ones gone or going.
sub reload {
    my ($self) = @_;
    my %old = map { $_ => 1 } $self->pids;
    $self->{process}->signal('HUP');
    $self->{process}->until(sub { my @new = grep { !$old{$_} } $self->pids; @new >= $self->{workers} }, 'has new workers');
    $self->{process}->until(sub { !grep { $old{$_} } $self->pids }, 'has ended its old workers', 30);
    return $self;
}

sub log_text {
    my ($self, $name) = @_;
    open my $f, '<', "$self->{dir}/logs/" . ($name // 'error.log') or return '';
    local $/;
    return scalar(<$f>) // '';
}

sub stop {
    my ($self, $signal) = @_;
    my $process = delete $self->{process} or return '';
    my $status = $process->stop($signal // 'QUIT');
    my $bad = join '', grep { /\[(?:alert|emerg)\]|Sanitizer|runtime error/ } map { /(.*\n)/g }
        $self->log_text, $self->log_text('output.log');
    $bad .= "ended with status $status\n" if $status;
    return $bad;
}

# As root everything runs as user punit: what is in the directory is his.
sub _chown {
    my ($dir) = @_;
    return if $> != 0;
    my (undef, undef, $uid, $gid) = getpwnam 'punit' or croak 'no user punit: make deps';
    chown $uid, $gid, $dir;
    chmod 0755, $dir;
    for (glob "$dir/*") {
        -d $_ ? _chown($_) : chown $uid, $gid, $_;
    }
    return;
}

# A master in the background: no child of the test, and another one after an upgrade.
package Punit::Nginx::Daemon;

use Carp qw(croak);
use Punit::Wait qw(wait_until);
use Time::HiRes qw(time sleep);

sub start {
    my ($class, $cmd, $dir) = @_;
    my $self = bless { dir => $dir }, $class;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        open STDOUT, '>>', "$dir/logs/output.log";
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec @$cmd }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    croak "@$cmd failed, see $dir/logs" if $?;
    return $self->until(sub { $self->current }, 'has a pid');
}

# the master that the pid file names
sub current {
    my ($self) = @_;
    open my $f, '<', "$self->{dir}/nginx.pid" or return;
    my ($pid) = (<$f> // '') =~ /^(\d+)\n/ or return;
    return $self->{pid} = $pid;
}

# also of who has ended and waits for a parent to be told
sub gone {
    my ($class, $pid) = @_;
    open my $f, '<', "/proc/$pid/stat" or return 1;
    return (<$f> // ') Z') =~ /\) Z/;
}

sub until {
    my ($self, $condition, $what, $seconds) = @_;
    wait_until($condition, $seconds // 20) or croak "nginx: not in time: $what, see $self->{dir}/logs";
    return $self;
}

sub signal { my ($self, $signal) = @_; kill $signal, $self->{pid}; return $self }

sub stop {
    my ($self, $signal) = @_;
    my %pids;
    for my $name ('nginx.pid', 'nginx.pid.oldbin') {
        open my $f, '<', "$self->{dir}/$name" or next;
        $pids{$1} = 1 if (<$f> // '') =~ /^(\d+)/;
    }
    kill $signal, keys %pids;
    my $end = time + 10;
    while (grep { !$self->gone($_) } keys %pids) {
        kill 'KILL', map { $_, Punit::Nginx->pids($_) } keys %pids if time > $end;
        sleep 0.01;
    }
    return 0;
}

package Punit::Nginx;

END {
    if ($$ == $test_pid) {
        my $status = $?;
        for my $n (@all) {
            my $bad = $n->stop;
            if ($bad) {
                Test::More::diag($bad);
                $status ||= 1;
            }
        }
        if ($status || !Test::More->builder->is_passing) {
            Test::More::diag("logs: $_->{dir}/logs") for @all;
        }
        else {
            remove_tree($_->{dir}) for @all;
        }
        $? = $status;
    }
}

1;
