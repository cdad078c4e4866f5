package Punit::Bench::Pair;

# Two loads in turn, A B A B ..., and the figures read out of them. A pair gives one row of the
# table for each figure. The figure of a round is ours against the peer's of the same round. The
# figure of the row is their median.
#
#   my $pair = Punit::Bench::Pair->new(ours => $load, peer => $load, connections => 64,
#       rows => [{ name => 'grid-hit', figure => 'rate', goal => '>= 1.8' }]);
#   my @rows = $pair->run(rounds => 5, seconds => 2);
#
# figure: rate (throughput), p50 or p99 (latency) or cpu (microseconds of the server's processes a
# request). one_processor: the servers of the bench and the load run on one processor. One request
# at a time keeps no processor busy, so the wake-up of one by another would be most of the figure.
# goal: ">= 1.8" and "<= 1.2" hold for the ratio, "<= +2.5 us" for the difference. A row without a
# goal only informs.

use strict;
use warnings;
use Carp qw(croak);

my %unit = (
    rate => sub {
        my ($n) = @_; return $n < 1000 ? sprintf '%.0f /s', $n : sprintf '%.1f k/s', $n / 1000
    },
    p50 => sub { my ($n) = @_; return sprintf '%.0f us', $n },
    p99 => sub { my ($n) = @_; return sprintf '%.0f us', $n },
    cpu => sub { my ($n) = @_; return sprintf '%.2f us', $n },
);

sub new {
    my ($class, %o) = @_;
    $o{connections} //= 64;
    for my $row (@{ $o{rows} }) {
        $unit{ $row->{figure} } or croak "$row->{name}: no figure $row->{figure}";
        defined $row->{goal} && goal($row->{goal});
    }
    return bless {%o}, $class;
}

sub names {
    my ($self) = @_; return map { $_->{name} } @{ $self->{rows} }
}

sub run {
    my ($self, %o) = @_;
    my (@ours, @peer);
    my $everywhere = $self->{one_processor} && _on_one_processor();
    $_->burst($self->{connections}, 1)
        for $self->{ours}, $self->{peer};    # caches filled, connections made
    for (1 .. $o{rounds}) {
        push @ours, $self->{ours}->burst($self->{connections}, $o{seconds});
        push @peer, $self->{peer}->burst($self->{connections}, $o{seconds});
    }
    $everywhere->() if $everywhere;
    return map { $self->_row($_, \@ours, \@peer) } @{ $self->{rows} };
}

# This process and all that it has started, on the last processor it may use; gives what undoes
# that.
sub _on_one_processor {
    my ($list) = qx(taskset -cp $$) =~ /list: ([\d,-]+)$/ or croak 'taskset failed';
    my ($last) = $list =~ /(\d+)$/;
    my %children;
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $f, '<', $stat or next;
        my ($pid, $parent) = (<$f> // '') =~ /^(\d+) \(.*\) \S (\d+)/ or next;
        push @{ $children{$parent} }, $pid;
    }
    my @all = $$;
    for (my $i = 0; $i < @all; $i++) { push @all, @{ $children{ $all[$i] } // [] } }
    my $pin =
        sub { my ($cpus) = @_; system "taskset -acp $cpus $_ >/dev/null 2>&1" for @all; return };
    $pin->($last);
    return sub { $pin->($list) };
}

sub _row {
    my ($self, $row, $ours, $peer) = @_;
    my $figure = $row->{figure};
    my @ratios =
        sort { $a <=> $b } map { $ours->[$_]{$figure} / $peer->[$_]{$figure} } 0 .. $#$ours;
    my @differences = map { $ours->[$_]{$figure} - $peer->[$_]{$figure} } 0 .. $#$ours;
    my ($ratio, $difference) = (median(@ratios), median(@differences));
    return {
        name => $row->{name},
        what => $self->{ours}->what
            . ", $figure"
            . ($self->{connections} == 1 ? ', one at a time' : ''),
        against => $self->{peer}->what,
        ours => $unit{$figure}->(median(map { $_->{$figure} } @$ours)),
        peer => $unit{$figure}->(median(map { $_->{$figure} } @$peer)),
        ratio => $ratio,
        difference => $figure eq 'cpu' ? $difference : undef,
        goal => $row->{goal},
        met => defined $row->{goal} ? met($row->{goal}, $ratio, $difference) : undef,
        rounds => scalar @ratios,
        spread => [@ratios[0, -1]],
    };
}

sub median {
    my @n = sort { $a <=> $b } @_;
    return ($n[$#n / 2] + $n[@n / 2]) / 2;
}

sub goal {
    my ($goal) = @_;
    $goal =~ /^(<=|>=|>) (\+?)([\d.]+)(?: us)?$/ or croak "not a goal: $goal";
    return ($1, $2, $3);
}

sub met {
    my ($goal, $ratio, $difference) = @_;
    my ($than, $plus, $limit) = goal($goal);
    my $n = $plus ? $difference : $ratio;
    return $than eq '<=' ? $n <= $limit : $than eq '>=' ? $n >= $limit : $n > $limit;
}

1;
