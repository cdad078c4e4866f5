package Punit::Machine::Image;

# The root of a bare Debian that boots, made once by mmdebstrap and kept below build/machine/.
#
#   my $image = image(debs => [...]);       # a directory, never to be written to
#
# None of what the packages need is installed, but it is there to be installed without a network:
# the lists of the archive, and the packages that `debs` depend on. Another release or other
# dependencies make another image. The archive is the one that this machine uses.

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use Digest::SHA qw(sha1_hex);
use Exporter qw(import);
use Fcntl qw(:flock);
use File::Path qw(make_path);

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Tree qw(root);

our @EXPORT_OK = qw(image release);

# What a small server has beside the essential packages.
my @include = qw(systemd systemd-sysv libpam-systemd dbus iproute2 ca-certificates curl logrotate);

# apt asks nobody, and installs what is needed only.
my $apt = <<'END';
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
Acquire::http::Timeout "1";
END

# dpkg neither waits for the disk nor unpacks what no test reads.
my @dpkg = (
    'force-unsafe-io',
    (map {"path-exclude=/usr/share/$_/*"} qw(doc info locale man)),
    'path-include=/usr/share/doc/punit*',
    'path-include=/usr/share/man/man?/punit*'
);

# The release of this machine, as "bookworm".
sub release {
    my ($name) = slurp('/etc/os-release') =~ /^VERSION_CODENAME=(\w+)/m;
    return $name // croak 'no VERSION_CODENAME in /etc/os-release';
}

sub image {
    my (%o) = @_;
    my $release = release();
    my @needs = map { (capture('dpkg-deb', '--field', $_, 'Depends'))[1] } sort @{ $o{debs} };
    my $key = substr sha1_hex(join "\n", $release, @include, $apt, @dpkg, @needs), 0, 12;
    my $all = root() . '/build/machine';
    my $image = "$all/$release-$key";
    make_path($all);
    open my $lock, '>', "$all/.lock" or croak "$all/.lock: $!";
    flock $lock, LOCK_EX or croak "flock: $!";
    return $image if -d $image;
    system 'rm', '-rf', "$image.new";
    _make("$image.new", $release, $o{debs});
    rename "$image.new", $image or croak "$image: $!";
    return $image;
}

sub _make {
    my ($directory, $release, $debs) = @_;
    my $sources = _sources($release);
    my $settings = spew("$directory.apt", $apt);
    my $list = spew("$directory.list", $sources);
    my @hooks = (
        'cp ' . join(' ', map { abs_path($_) } @$debs) . ' "$1/root/"',
        qq(cp '$settings' "\$1/etc/apt/apt.conf.d/90machine"),
        'chroot "$1" sh -c "apt-get install --download-only /root/*.deb && rm /root/*.deb"',
    );
    my ($status, $output) = capture(
        'mmdebstrap', '--variant=minbase', '--include=' . join(',', @include),
        (map {"--dpkgopt=$_"} @dpkg),
        '--skip=cleanup/apt,cleanup/reproducible', (map {"--customize-hook=$_"} @hooks), $release,
        $directory, $list
    );
    unlink $settings, $list;
    croak "mmdebstrap: $output" if $status;
    return;
}

# The lines of Debian's own archive in the sources of this machine.
sub _sources {
    my ($release) = @_;
    my ($status, $output) = capture(
        'apt-get', 'indextargets',
        '--format', 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)',
        'Created-By: Packages', 'Origin: Debian'
    );
    my %seen;
    my @lines = grep { /\s\Q$release\E/ && !$seen{$_}++ } split /^/, $output;
    croak "apt knows no archive of $release" if $status || !@lines;
    return join '', @lines;
}

1;
