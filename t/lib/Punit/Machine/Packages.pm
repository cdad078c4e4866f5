package Punit::Machine::Packages;

# Packages made of built ones by a change of their files.
#
#   my @files = next_release($dir, glob 'build/deb/*.deb');   # the same with a higher version
#   my @files = changed($dir, sub { my ($root) = @_; ... }, glob 'build/deb/*.deb');

use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use File::Basename qw(basename);

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);

our @EXPORT_OK = qw(changed next_release);

sub changed {
    my ($directory, $change, @debs) = @_;
    return map { _repack($directory, $_, $change) } @debs;
}

# Each names the others by the version of all.
sub next_release {
    my ($directory, @debs) = @_;
    my $higher = sub {
        my ($root) = @_;
        my $control = slurp("$root/DEBIAN/control");
        my ($version) = $control =~ /^Version: (.*)/m or croak 'a package without a version';
        $control =~ s/^Version: \K.*/$version+next/m;
        spew("$root/DEBIAN/control", $control =~ s/\(= \Q$version\E\)/(= $version+next)/gr);
    };
    return changed($directory, $higher, @debs);
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
