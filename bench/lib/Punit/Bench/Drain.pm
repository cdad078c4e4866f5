package Punit::Bench::Drain;

# `punitctl drain eu` with 10,000 small users: that they leave, how fast, what it does to the movers' memory and to
# everybody else. One drain is one round: its figures are of 10,000 moves.

use strict;
use warnings;
use Carp qw(croak);
use List::Util qw(max);
use POSIX ();
use Time::HiRes qw(sleep time);

use Punit::Bench::Residents;
use Punit::Bench::Rounds;

use constant { USERS => 10_000, ROWS => 10, SECONDS => 5, LIMIT => 900 };

my @names = qw(drain-10000 drain-10000-memory drain-10000-p50 drain-10000-p95 drain-10000-failed);

sub names { return @names }

# others: gives the clients (Punit::Bench::Others) beside whom it runs
sub new {
    my ($class, $ground, $others) = @_;
    return bless { ground => $ground, others => $others }, $class;
}

sub run {
    my ($self) = @_;
    my $ground = $self->{ground};
    my $others = $self->{others}->();
    my $eu = $ground->dbh('eu');
    my @ids = Punit::Bench::Residents->settle($eu, users => USERS, rows => ROWS);
    # as warm as after the moves before it
    $ground->move($_, 'eu', 'us') for splice @ids, 0, 8;
    my @floor = map { my $ms = $ground->floor('us', "copy $_"); $ground->sweep_up('us', $_); $ms } @ids[0 .. 20];

    my @alone = map { $others->begin(SECONDS); $others->end } 1 .. 3;
    my $first = $self->_owned;
    my $began = time;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        my ($status, $said) = $ground->units->punitctl('eu', 'drain', 'eu', '--within', LIMIT);
        print STDERR $said =~ s/^/  /gmr;
        POSIX::_exit($status);
    }
    my (@beside, %memory, $left);
    while (waitpid($pid, POSIX::WNOHANG) == 0) {
        $others->begin(1);
        for (1 .. 9) {
            sleep 0.1;
            my $gone = 1 - ($left = $self->_owned) / $first;
            for my $share (0.1, 0.5, 0.99) {
                $memory{$share} //= $self->_memory if $gone >= $share;
            }
        }
        push @beside, $others->end;
    }
    croak 'the drain failed' if $?;
    my $seconds = time - $began;
    pop @beside if @beside > 1;     # it ended within
    $ground->units->punitctl('eu', 'drain', 'eu', '--end');
    my $rate = $first / $seconds;
    # the clients of eu are drained too, and forwarded from then on: another way, whatever the drain costs
    my @all = map { @{ $_->{at}{us} } } @beside;
    my @without = map { @{ $_->{at}{us} } } @alone;
    my $quantile = \&Punit::Bench::Rounds::quantile;

    return (
        $self->_row('drain-10000', undef, 'users a second', 'bare COPY to COPY, one by one', '%.0f/s',
            $rate, 1000 / Punit::Bench::Pair::median(@floor)),
        $self->_row('drain-10000-memory', '<= 1.1', 'memory of the movers, most of at 50 % and at the end', 'at 10 %', '%.1f MB',
            max(@memory{ 0.5, 0.99 }), $memory{0.1}),
        (map { $self->_row("drain-10000-p$_", '<= 1.05', "p$_ of users of us while eu is drained", 'before', '%.2f ms',
            $quantile->($_ / 100, @all), $quantile->($_ / 100, @without)) } 50, 95),
        $self->_row('drain-10000-failed', '<= 0', "other users' failed requests", 'all', '%.0f',
            (map { my $sum = 0; $sum += $_ for @$_; $sum } [ map { $_->{failed} } @beside ], [ map { scalar @{ $_->{latencies} } } @beside ])),
    );
}

sub _row {
    my ($self, $name, $goal, $what, $against, $format, $ours, $peer) = @_;
    my $ratio = $ours / $peer;
    return {
        name => $name, what => $what, against => $against, ours => sprintf($format, $ours), peer => sprintf($format, $peer),
        ratio => $ratio, goal => $goal, met => defined $goal ? Punit::Bench::Pair::met($goal, $ratio) : undef,
        rounds => 1, spread => [ $ratio, $ratio ],
    };
}

sub _owned {
    my ($self) = @_;
    return ($self->{ground}->dbh('eu')->selectrow_array(q{select count(*) from punit.own where state in ('OWNED', 'FENCED')}))[0];
}

# MB resident of both movers together
sub _memory {
    my ($self) = @_;
    my $sum = 0;
    for my $unit (qw(eu us)) {
        my $pid = $self->{ground}->units->pid($unit, 'mover');
        open my $f, '<', "/proc/$pid/status" or croak "the mover of $unit: $!";
        $sum += $_ / 1024 for map { /^VmRSS:\s+(\d+) kB/ ? $1 : () } <$f>;
    }
    return $sum;
}

1;
