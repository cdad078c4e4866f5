package Punit::Bench::Times;

# How long something takes, many times, against the time that it may take. A row is a percentile of
# all the times of the run; its ratio is to the time allowed, its spread that of the rounds.
#
#   Punit::Bench::Times->new(what => 'PUT to peers', limit => 1000, measure => sub { return @ms },
#       rows => [{ name => 'coherence-p99', percentile => 99 }])
#
# measure is called once a round and gives milliseconds.

use strict;
use warnings;

sub new { my ($class, %o) = @_; return bless {%o}, $class }

sub names {
    my ($self) = @_; return map { $_->{name} } @{ $self->{rows} }
}

sub run {
    my ($self, %o) = @_;
    my @rounds = map { [$self->{measure}->()] } 1 .. $o{rounds};
    return map { $self->_row($_, @rounds) } @{ $self->{rows} };
}

sub _row {
    my ($self, $row, @rounds) = @_;
    my $ms = percentile($row->{percentile}, map {@$_} @rounds);
    my @spread =
        sort { $a <=> $b } map { percentile($row->{percentile}, @$_) / $self->{limit} } @rounds;
    return {
        name => $row->{name},
        what => "$self->{what}, p$row->{percentile} of " . scalar(map {@$_} @rounds),
        against => 'allowed',
        ours => sprintf('%.0f ms', $ms),
        peer => "$self->{limit} ms",
        ratio => $ms / $self->{limit},
        goal => '<= 1',
        met => $ms <= $self->{limit},
        rounds => scalar @rounds,
        spread => [@spread[0, -1]],
    };
}

sub percentile {
    my ($percent, @n) = @_;
    @n = sort { $a <=> $b } @n;
    my $i = int(@n * $percent / 100);
    return $n[$i < @n ? $i : -1];
}

1;
