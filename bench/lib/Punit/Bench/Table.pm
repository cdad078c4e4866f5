package Punit::Bench::Table;

# The rows as a table to read, and as JSON for documents and programs.

use strict;
use warnings;
use Carp qw(croak);
use JSON::PP ();

my @columns = (
    ['row', sub { $_[0]{name} }],
    ['what', sub { $_[0]{what} }],
    ['ours', sub { $_[0]{ours} }],
    ['floor or peer', sub {"$_[0]{peer} $_[0]{against}"}],
    [
        'ratio',
        sub {
            sprintf('%.2f', $_[0]{ratio})
                . (defined $_[0]{difference} ? sprintf ' (%+.2f us)', $_[0]{difference} : '')
        }
    ],
    ['spread', sub { sprintf '%.2f-%.2f', @{ $_[0]{spread} } }],
    ['goal', sub { $_[0]{goal} // '' }],
    ['met', sub { defined $_[0]{met} ? $_[0]{met} ? 'yes' : 'NO' : '' }],
);

sub text {
    my ($class, @rows) = @_;
    my @lines = (
        [map { $_->[0] } @columns],
        map {
            my $row = $_; [map { $_->[1]->($row) } @columns]
        } @rows
    );
    my @width = map {
        my $i = $_; _max(map { length $_->[$i] } @lines)
    } 0 .. $#columns;
    splice @lines, 1, 0, [map { '-' x $_ } @width];
    return join '', map {
        my $line = $_;
        join('  ', map { sprintf "%-*s", $width[$_], $line->[$_] } 0 .. $#columns)
            =~ s/ +$//r . "\n"
    } @lines;
}

# Rows of an earlier run that this one did not measure stay.
sub save {
    my ($class, $file, @rows) = @_;
    my $json = JSON::PP->new->canonical->indent->space_after->indent_length(1);
    my %new = map { $_->{name} => 1 } @rows;
    my @kept = grep { !$new{ $_->{name} } } @{ $class->_load($file) };
    my @all = (@kept, map { $class->_result($_) } @rows);
    open my $f, '>', "$file.new" or croak "$file.new: $!";
    print $f $json->encode(\@all);
    close $f or croak $!;
    rename "$file.new", $file or croak "$file: $!";
    return;
}

sub _result {
    my ($class, $row) = @_;
    my $round = sub { 0 + sprintf '%.3f', $_[0] };
    return {
        name => $row->{name},
        ratio => $round->($row->{ratio}),
        goal => $row->{goal},
        met => defined $row->{met} ? $row->{met} ? JSON::PP::true : JSON::PP::false : undef,
            rounds => $row->{rounds},
            spread => [map { $round->($_) } @{ $row->{spread} }],
    };
}

sub _load {
    my ($class, $file) = @_;
    open my $f, '<', $file or return [];
    local $/;
    return JSON::PP::decode_json(<$f>);
}

sub _max {
    my ($max, @n) = @_; for (@n) {
        $max = $_ if $_ > $max
    }
    return $max
}

1;
