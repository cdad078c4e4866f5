package Punit::Machine::Document;

# The indented lines of a document, section by section, as a reader would paste them.
#
#   my $d = Punit::Machine::Document->new("$root/doc/OPERATIONS.md");
#   for my $line ($d->lines('A unit from nothing')) { ...; $d->done($line) }
#   $d->left                    # [SECTION, LINE] of each line that is not done
#
# A line that ends with a backslash goes on in the next one. What follows two blanks and a # is for
# readers.

use strict;
use warnings;
use Carp qw(croak);

use Punit::File qw(slurp);

sub new {
    my ($class, $file) = @_;
    my ($section, @lines) = ('');
    my $text = slurp($file) =~ s/\\\n\s*//gr;
    for (split /\n/, $text) {
        $section = $1 if /^#+ (.*)/;
        push @lines, { section => $section, line => $1 =~ s/\s{2,}#.*//r } if /^ {4}(\S.*)/;
    }
    croak "$file: no indented lines" if !@lines;
    return bless { lines => \@lines, text => $text =~ s/\n/ /gr }, $class;
}

# Those of a section; of all without one.
sub lines {
    my ($self, $section) = @_;
    my @found = map { $_->{line} } grep { !defined $section || $_->{section} eq $section }
        @{ $self->{lines} };
    croak "no indented lines under \"$section\"" if defined $section && !@found;
    return @found;
}

# True if a sentence of the document names the command.
sub names {
    my ($self, $command) = @_;
    return $self->{text} =~ /`\Q$command\E`/;
}

sub done {
    my ($self, $line) = @_;
    $_->{done} = 1 for grep { $_->{line} eq $line } @{ $self->{lines} };
    return;
}

sub left {
    my ($self) = @_;
    return map {"$_->{section}: $_->{line}"} grep { !$_->{done} } @{ $self->{lines} };
}

1;
