package Punit::Bench::Rounds;

# Rows whose figures are not read from bursts of load. Each round measures ours and its reference,
# one after the other, and gives both.
#
#   Punit::Bench::Rounds->new(
#       round => sub { return { move => [$ours, $floor] } },  # may give more, for `figure` subs
#       rows => [{ name => 'move-1000', figure => 'move', what => '...', against => '...',
#           unit => 'ms', goal => '<= 1.5' }]);
#
# figure: a name in the result of a round, or a sub that makes [ours, peer]... of all rounds (for a
# quantile, for example). all: a sub that makes [ours, peer] of all rounds together, where one round
# says too little. The spread stays that of the rounds. rounds: the least number and the greatest
# number of rounds.

use strict;
use warnings;
use Carp qw(croak);

use Punit::Bench::Pair;

sub new {
    my ($class, %o) = @_;
    for my $row (@{ $o{rows} }) {
        defined $row->{goal} && Punit::Bench::Pair::goal($row->{goal});
    }
    return bless {%o}, $class;
}

sub names {
    my ($self) = @_; return map { $_->{name} } @{ $self->{rows} }
}

sub run {
    my ($self, %o) = @_;
    my $n = $self->{rounds} // $o{rounds};
    $self->{before}->(%o) if $self->{before};
    my @rounds = map { $self->{round}->(%o) } 1 .. $n;
    return map { $self->_row($_, @rounds) } @{ $self->{rows} };
}

sub _row {
    my ($self, $row, @rounds) = @_;
    my @pairs =
        ref $row->{figure} ? $row->{figure}->(@rounds) : map { $_->{ $row->{figure} } } @rounds;
    my @told = $row->{all} ? $row->{all}->(@rounds) : @pairs;
    my $ratios = sub {
        return sort { $a <=> $b } map { $_->[1] ? $_->[0] / $_->[1] : $_->[0] } @_
    };
    my $ratio = Punit::Bench::Pair::median($ratios->(@told));
    my $text = sub {
        my ($i) = @_; return sprintf "%.$row->{digits}f $row->{unit}",
            Punit::Bench::Pair::median(map { $_->[$i] } @told)
    };
    return {
        name => $row->{name},
        what => $row->{what},
        against => $row->{against},
        ours => $text->(0),
        peer => $text->(1),
        ratio => $ratio,
        goal => $row->{goal},
        met => defined $row->{goal} ? Punit::Bench::Pair::met($row->{goal}, $ratio) : undef,
        rounds => scalar @rounds,
        spread => [($ratios->(@pairs))[0, -1]],
    };
}

# Of a list, by rank.
sub quantile {
    my ($q, @values) = @_;
    my @sorted = sort { $a <=> $b } @values or croak 'nothing was measured';
    my $i = int($q * @sorted);
    return $sorted[$i < @sorted ? $i : -1];
}

# Of rounds that give windows of latencies by name ({ before => [[ms]...], beside => ... }): [ours,
# peer], the quantile of all windows of these names together.
sub quantile_pair {
    my ($q, $ours, $peer, @rounds) = @_;
    return [
        map {
            my @names = @$_; quantile(
                $q,
                map {
                    map {@$_} map {@$_} @{$_}{@names}
                } @rounds
            )
        } $ours,
        $peer
    ];
}

1;
