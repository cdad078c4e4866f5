package Punit::File;

# Whole files, read and written at once.

use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);

our @EXPORT_OK = qw(append slurp spew);

# The text of a file. With `absent` the text to give if the file cannot be read; else that dies.
sub slurp {
    my ($file, %o) = @_;
    open my $f, '<', $file or do { exists $o{absent} ? return $o{absent} : croak "$file: $!" };
    local $/;
    return scalar(<$f>) // '';
}

sub spew {
    my ($file, @text) = @_;
    return _write('>', $file, @text);
}

sub append {
    my ($file, @text) = @_;
    return _write('>>', $file, @text);
}

sub _write {
    my ($how, $file, @text) = @_;
    open my $f, $how, $file or croak "$file: $!";
    print {$f} @text;
    close $f or croak "$file: $!";
    return $file;
}

1;
