package Punit::Machine;

# A machine of its own: Debian, booted by systemd-nspawn, over an image (Punit::Machine::Image).
#
#   my $m = Punit::Machine->new(name => 'eu', below => [$image], address => '10.1.0.1/8');
#   $m->start;                                     # waits until systemd has started everything
#   my ($status, $output) = $m->run('punitctl status');
#   $m->reboot;  $m->stop;
#
# Files are changed in a layer of the machine's own (overlayfs), which goes with the test. `below`
# are the layers under it, the upper ones first; $m->layer may be one of another machine's. All
# machines of a test hang on one bridge, in the network namespace that the test runs in: see
# own_network.

use strict;
use warnings;
use parent 'Punit::Server';
use Carp qw(croak);
use Exporter qw(import);
use File::Path qw(make_path);
use JSON::PP ();

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory);
use Punit::Services qw(services);
use Punit::Wait qw(wait_until);

our @EXPORT_OK = qw(cannot own_network);

use constant { BRIDGE => 'units', REBOOT => 133 };

# Why no machine can be booted here, or nothing.
sub cannot {
    return 'machines are booted by root only' if $> != 0;
    for my $tool (qw(systemd-nspawn mmdebstrap nsenter ip)) {
        return "no $tool" if !grep { -x "$_/$tool" } split /:/, "$ENV{PATH}:/usr/sbin";
    }
    return 'no cgroups, which ip netns exec hides'
        if !-d '/sys/fs/cgroup/systemd' && !-e '/sys/fs/cgroup/cgroup.controllers';
    return;
}

# Runs this test again in namespaces of its own for networks and mounts, which end with it, and
# makes the bridge. nspawn keeps things in /run/systemd/nspawn, and removes them from a tmpfs only.
sub own_network {
    my ($address) = @_;
    if (!$ENV{PUNIT_OWN_NETWORK}) {
        local $ENV{PUNIT_OWN_NETWORK} = 1;
        my @again = ($^X, (map {"-I$_"} @INC), $0, @ARGV);
        { no warnings 'exec'; exec 'unshare', '--net', '--mount', @again }
        croak "unshare: $!";
    }
    make_path('/run/systemd/nspawn');
    system('mount', '-t', 'tmpfs', 'tmpfs', '/run/systemd/nspawn') == 0 or croak 'no tmpfs';
    for my $line (
        'link set lo up', 'link add ' . BRIDGE . ' type bridge',
        'address add ' . $address . ' dev ' . BRIDGE, 'link set ' . BRIDGE . ' up'
        )
    {
        my ($status, $output) = capture('ip', split / /, $line);
        croak "ip $line: $output" if $status;
    }
    return;
}

sub new {
    my ($class, %o) = @_;
    my $dir = directory("machine-$o{name}");
    my $self = $class->SUPER::new(%o, dir => $dir, log => "$dir/console.log", stop_limit => 60);
    make_path("$dir/layer", "$dir/work", "$dir/root");
    $self->_mount;
    spew("$dir/root/etc/hostname", "$o{name}\n");
    $self->_network if $o{address};
    # a test that is killed leaves no machine behind
    $self->{cmd} = [
        qw(setpriv --pdeathsig TERM), 'systemd-nspawn', '--quiet', '--register=no', '--keep-unit',
        '--boot', '--directory',
        "$dir/root", '--machine', $o{name}, '--network-bridge', BRIDGE, '--console=pipe'
    ];
    return $self;
}

sub root { return "$_[0]{dir}/root" }
sub layer { return "$_[0]{dir}/layer" }

sub _mount {
    my ($self) = @_;
    my $dir = $self->{dir};
    my ($status, $output) = capture(
        'mount', '-t', 'overlay', 'overlay', '-o',
        'lowerdir=' . join(':', @{ $self->{below} }) . ",upperdir=$dir/layer,workdir=$dir/work",
        "$dir/root"
    );
    croak "mount: $output" if $status;
    $self->{mounted} = 1;
    return;
}

# Its address, which systemd-networkd sets at each boot.
sub _network {
    my ($self) = @_;
    my $root = $self->root;
    spew(
        "$root/etc/systemd/network/10-host0.network",
        "[Match]\nName=host0\n\n[Network]\nAddress=$self->{address}\nLinkLocalAddressing=no\n"
    );
    my ($status, $output) = capture(
        'systemctl', '--quiet', "--root=$root", 'enable',
        'systemd-networkd.service'
    );
    croak "networkd: $output" if $status;
    return;
}

# ---- its life

# The first process in it, as numbered here.
sub leader {
    my ($self) = @_;
    my $pid = $self->{pid} or return;
    my ($child) = split ' ', slurp("/proc/$pid/task/$pid/children", absent => '');
    return $child;
}

# `seconds`: how long it may take to boot.
sub start {
    my ($self, %o) = @_;
    $self->launch;
    return $self->booted($o{seconds});
}

# Waits until systemd has started what it starts. A unit that failed does not hinder it.
sub booted {
    my ($self, $seconds) = @_;
    return $self->until(
        sub {
            my ($status, $output) = $self->run('systemctl is-system-running');
            return $output =~ /^(?:running|degraded)$/m;
        },
        'has booted',
        $seconds // 90
    );
}

# nspawn ends with a status of its own when the machine asks for a reboot, and is begun again.
sub reboot {
    my ($self, %o) = @_;
    $self->run('systemctl reboot');
    wait_until(sub { !$self->alive }, 90) or croak "$self->{name} has not gone down";
    croak "$self->{name} has ended with $self->{status}" if $self->{status} >> 8 != REBOOT;
    return $self->start(%o);
}

sub end {
    my ($self) = @_;
    my $status = $self->stop;
    if (delete $self->{mounted}) {
        system 'umount', '--lazy', $self->root;
    }
    return $status;
}

# ---- commands in it

my @environment = (
    'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    qw(HOME=/root USER=root TERM=dumb LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
);

sub _inside {
    my ($self, $command) = @_;
    my $leader = $self->leader or return ('false');
    return ('nsenter', '--target', $leader, '--all', @environment, 'sh', '-c', "cd\n$command");
}

# Runs a line of a shell as root. Returns (exit status, what it wrote to both outputs).
sub run {
    my ($self, $command) = @_;
    return capture($self->_inside($command));
}

# The parts of a unit, as systemd names them.
sub parts {
    return (
        'punit-postgres', 'punit-grid@grid', 'punit-grid@tokens', 'punit-nginx',
        map {"punit\@$_"} services(), qw(mover gridd)
    );
}

# Waits until all of them run, for a while at least: a program that dies at once is started again
# and again. Returns those that do not run, or were started again since then.
sub stopped_parts {
    my ($self, $seconds) = @_;
    my @parts = $self->parts;
    my $restarts = "systemctl show --property=ActiveState --property=NRestarts --value @parts";
    my (%restarts, %state);
    my $look = sub {
        my @found = split ' ', ($self->run($restarts))[1];
        @restarts{@parts} = @found[grep { $_ % 2 == 0 } 0 .. $#found];
        @state{@parts} = @found[grep { $_ % 2 } 0 .. $#found];
        return !grep { ($state{$_} // '') ne 'active' } @parts;
    };
    wait_until($look, $seconds // 30);
    my %before = %restarts;
    $self->run('sleep 2');
    $look->();
    return grep { ($state{$_} // '') ne 'active' || $restarts{$_} ne $before{$_} } @parts;
}

# Waits until the line succeeds.
sub succeeds {
    my ($self, $command, $seconds) = @_;
    return wait_until(sub { !($self->run($command))[0] }, $seconds // 30);
}

# The lines of a unit in the journal since boot: { PRIORITY, SYSLOG_IDENTIFIER, MESSAGE, ... } each.
sub journal {
    my ($self, $unit) = @_;
    my ($status, $output) = $self->run("journalctl --boot --unit '$unit' --output json --all");
    return map { JSON::PP::decode_json($_) } grep {/^\{/} split /\n/, $output;
}

1;
