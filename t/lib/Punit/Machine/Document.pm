package Punit::Machine::Document;

# The commands of a document, as a reader would paste them.
#
#   my $d = Punit::Machine::Document->new("$root/doc/OPERATIONS.md");
#   for my $step ($d->steps('A unit from nothing')) { ...; $step->{done} = 1 }
#   $d->left                    # each command that is not done, with its section
#
# A step is an indented line: { section, line, at }. A line that ends with a backslash goes on in
# the next one. What follows two blanks and a # is for readers. `at` are the units where the line is
# run: those that the sentence before the lines names ("At eu, and then at us:"), or the remark
# ("# at ap: ...").
#
# A command in a sentence is a step without `at`.

use strict;
use warnings;
use Carp qw(croak);

use Punit::File qw(slurp);

my $unit = qr/\b(?:eu|us|ap|la)\b/;
my $program = qr/(?:punitctl|systemctl|journalctl|make|sv|ssh|certbot)/;

sub new {
    my ($class, $file) = @_;
    my $text = slurp($file) =~ s/\\\n\s*//gr;
    my $self = bless { steps => [], spoken => [] }, $class;
    my ($section, @at) = ('');
    for my $paragraph (split /\n\s*\n/, $text) {
        if ($paragraph =~ /^ {4}\S/) {
            $self->_indented($section, $paragraph, @at);
            @at = ();
            next;
        }
        $section = $1 if $paragraph =~ /^#+ (.*)/;
        my ($where) = $paragraph =~ /(?:^|\.\s)At ([^:.]*):\s*\z/;
        @at = ($where // '') =~ /$unit/g;
        $self->_sentences($section, $paragraph);
    }
    croak "$file: no indented lines" if !@{ $self->{steps} };
    return $self;
}

sub _indented {
    my ($self, $section, $paragraph, @at) = @_;
    for (split /\n/, $paragraph) {
        my ($line, $remark) = /^ {4}(\S.*?)(?:\s{2,}#\s*(.*))?$/ or next;
        my ($there) = ($remark // '') =~ /^at ($unit)/;
        push @{ $self->{steps} },
            { section => $section, line => $line, at => $there ? [$there] : [@at] };
    }
    return;
}

sub _sentences {
    my ($self, $section, $paragraph) = @_;
    my $text = $paragraph =~ s/\s*\n\s*/ /gr;
    push @{ $self->{spoken} }, map { { section => $section, line => $_ } }
        $text =~ /`($program [^`]+)`/g;
    return;
}

# The indented lines of a section; of all without one.
sub steps {
    my ($self, $section) = @_;
    my @found = grep { !defined $section || $_->{section} eq $section } @{ $self->{steps} };
    croak "no indented lines under \"$section\"" if defined $section && !@found;
    return @found;
}

# A command that a sentence of the document names, or nothing.
sub spoken {
    my ($self, $command) = @_;
    my ($step) = grep { $_->{line} eq $command } @{ $self->{spoken} };
    return $step;
}

# All steps, indented or spoken.
sub all { my ($self) = @_; return (@{ $self->{steps} }, @{ $self->{spoken} }) }

# A command in a sentence that was run once need not be run again.
sub left {
    my ($self) = @_;
    my %done = map { $_->{line} => 1 } grep { $_->{done} } $self->all;
    my @left = (
        (grep { !$_->{done} } @{ $self->{steps} }),
        (grep { !$done{ $_->{line} } } @{ $self->{spoken} })
    );
    return map {"$_->{section}: $_->{line}"} @left;
}

1;
