package Punit::Machine::Packages;

# Packages made of built ones by a change of their files.
#
#   my @files = former_release($dir, glob 'build/deb/*.deb');
#   my @files = changed($dir, sub { my ($root) = @_; ... }, glob 'build/deb/*.deb');

use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use File::Basename qw(basename);

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);

our @EXPORT_OK = qw(changed former_release FORMER);

# in the source of the functions of a former release
use constant FORMER => 'of the former release';

sub changed {
    my ($directory, $change, @debs) = @_;
    return map { _repack($directory, $_, $change) } @debs;
}

# The same with a lower version, and with functions of the schema that this release replaces. Each
# names the others by the version of all.
sub former_release {
    my ($directory, @debs) = @_;
    my $lower = sub {
        my ($root) = @_;
        my $control = slurp("$root/DEBIAN/control");
        my ($version) = $control =~ /^Version: (.*)/m or croak 'a package without a version';
        $control =~ s/^Version: \K.*/$version~former/m;
        spew("$root/DEBIAN/control", $control =~ s/\(= \Q$version\E\)/(= $version~former)/gr);
        _write_former($_) for glob "$root/usr/share/punit/sql/functions/social/*.sql";
        _one_user($root) if -d "$root/usr/lib/sysusers.d";
    };
    return changed($directory, $lower, @debs);
}

# Release 0.2.0 had the user punit for all programs, and the mover removed keys.
sub _one_user {
    my ($root) = @_;
    spew("$root/usr/lib/sysusers.d/punit.conf", qq{u punit - "processing unit"\n});
    for my $file (
        glob "$root/etc/logrotate.d/punit $root/{usr/,}lib/systemd/system{,-generators}/punit*"
        )
    {
        my $text = slurp($file);
        $text =~ s/^(\s*(?:su|create 0640)) punit-web punit-web$/$1 punit punit/mg;
        $text =~ s/^((?:Socket)?(?:User|Group)=punit)-.*/$1/mg;
        $text =~ s/^(?:ExecStartPre=\+|Wants=punit-keys)(?:.*\\\n)*.*\n//mg;
        spew($file, $text);
    }
    _run('sh', '-c', "rm '$root'/lib/systemd/system/punit-keys.*"
        . " || rm '$root'/usr/lib/systemd/system/punit-keys.*");
    return;
}

sub _write_former {
    my ($file) = @_;
    my $text = slurp($file);
    $text =~ s/^declare$/declare -- @{[ FORMER ]}/mg;
    spew($file, $text);
    return;
}

sub _repack {
    my ($directory, $deb, $change) = @_;
    my $root = "$directory/" . basename($deb, '.deb');
    _run('dpkg-deb', '--raw-extract', $deb, $root);
    $change->($root);
    my $made = "$root.changed.deb";
    _run('dpkg-deb', '--root-owner-group', '-Znone', '--build', $root, $made);
    _run('rm', '-r', $root);
    return $made;
}

sub _run {
    my @command = @_;
    my ($status, $output) = capture(@command);
    croak "@command: $output" if $status;
    return;
}

1;
