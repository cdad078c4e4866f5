package Punit::Bench::Drain;

# `punitctl drain eu` with 10,000 small users: whether they leave, how fast, and what that costs the
# movers' memory and other users. First a few users leave, again and again, for a few windows of
# latency each time. Windows without a drain come before and after, while the movers run idle, and
# are compared with each other too. Then all users leave.
#
# PUNIT_BENCH_DRAIN: so many users (10000).

use strict;
use warnings;
use Carp qw(croak);
use List::Util qw(max min);
use POSIX ();
use Time::HiRes qw(sleep time);

use Punit::Bench::Residents;
use Punit::Bench::Rounds;

use constant { USERS => $ENV{PUNIT_BENCH_DRAIN} // 10_000, ROWS => 10, LIMIT => 3600 };

# A window of latency is so long; so many cycles for each round that is asked for. A cycle is two
# windows without, four beside a drain that is cut off after BESIDE (what it has asked for goes on
# for some seconds), two without.
use constant { WINDOW => 2, CYCLES => 2, BESIDE => 6 };

my @latency = map { ("drain-10000-p$_", "drain-10000-p$_-aa") } 50, 95;
my @names = (qw(drain-10000 drain-10000-memory), @latency, 'drain-10000-failed');

sub names { return @names }

# others: gives the clients (Punit::Bench::Others) that run beside it.
sub new {
    my ($class, $ground, $others) = @_;
    return bless { ground => $ground, others => $others }, $class;
}

sub run {
    my ($self, %o) = @_;
    my $ground = $self->{ground};
    my $others = $self->{others}->();
    my $eu = $ground->dbh('eu');
    my @ids = Punit::Bench::Residents->settle($eu, users => USERS, rows => ROWS);
    # as warm as after the moves before it
    $ground->move($_, 'eu', 'us') for splice @ids, 0, 8;
    my @floor = map { my $ms = $ground->floor('us', "copy $_"); $ground->sweep_up('us', $_); $ms }
        @ids[0 .. 20];

    # who is owned by eu is drained, and forwarded from then on: another way, whatever the drain
    # costs
    my ($failed, $sent) = (0, 0);
    my $window = sub {
        my ($seconds) = @_;
        $others->begin($seconds);
        my $seen = $others->end;
        $failed += $seen->{failed};
        $sent += @{ $seen->{latencies} };
        return $seen->{at}{us};
    };
    my @rounds;
    $window->(WINDOW);
    while (@rounds < CYCLES * $o{rounds}) {
        my @before = map { $window->(WINDOW) } 1, 2;
        my $pid = $self->_drain(BESIDE);
        sleep 0.5;
        my @beside = map { $window->(WINDOW) } 1 .. 4;
        waitpid $pid, 0;
        $self->_rested;
        push @rounds,
            { before => \@before, beside => \@beside, after => [map { $window->(WINDOW) } 1, 2] };
    }

    my $first = $self->_owned || croak 'too few users for so many rounds';
    my $began = time;
    my $pid = $self->_drain(LIMIT);
    my %memory;
    while (waitpid($pid, POSIX::WNOHANG) == 0) {
        my $gone = 1 - $self->_owned / $first;
        for my $share (0.1, 0.5, 0.99) {
            $memory{$share} //= $self->_memory if $gone >= $share;
        }
        $window->(1);
    }
    croak 'the drain failed' if $?;
    my $rate = $first / (time - $began);
    $ground->units->punitctl('eu', 'drain', 'eu', '--end');

    return (
        $self->_row(
            'drain-10000', undef, 'users a second', 'bare COPY to COPY, one by one', '%.0f/s',
            [$rate, 1000 / Punit::Bench::Pair::median(@floor)]
        ),
        $self->_row(
            'drain-10000-memory', '<= 1.1', 'memory of the movers, most of at 50 % and at the end',
            'at 10 %', '%.1f MB',
            [max(map { $_ // 0 } @memory{ 0.5, 0.99 }), $memory{0.1} // croak 'too few users']
        ),
        (map { $self->_latency($_, @rounds) } 50, 95),
        $self->_row(
            'drain-10000-failed', '<= 0', "other users' failed requests", 'all', '%.0f',
            [$failed, $sent]
        ),
    );
}

# Of all windows together: a quantile of one window is made of a few requests. The spread is that of
# thirds of the rounds.
sub _latency {
    my ($self, $q, @rounds) = @_;
    my $row = sub {
        my ($name, $goal, $what, $against, $ours, $peer) = @_;
        my @thirds = map {
            my $i = $_; [@rounds[grep { $_ % 3 == $i } 0 .. $#rounds]]
        } 0 .. min(2, $#rounds);
        return $self->_row($name, $goal, $what, $against, '%.2f ms',
            map { Punit::Bench::Rounds::quantile_pair($q / 100, $ours, $peer, @$_) } \@rounds,
            @thirds);
    };
    return (
        $row->(
            "drain-10000-p$q", '<= 1.05', "p$q of users of us while eu is drained",
            'before and after', ['beside'], ['before', 'after']
        ),
        $row->(
            "drain-10000-p$q-aa", undef, "p$q of users of us, before", 'after', ['before'],
            ['after']
        ),
    );
}

# pairs: ours and the peer's; further ones make the spread
sub _row {
    my ($self, $name, $goal, $what, $against, $format, @pairs) = @_;
    my ($ours, $peer) = @{ $pairs[0] };
    my ($ratio, @others) = map { $_->[0] / $_->[1] } @pairs;
    return {
        name => $name, what => $what, against => $against, ours => sprintf($format, $ours),
        peer => sprintf($format, $peer),
        ratio => $ratio, goal => $goal,
        met => defined $goal ? Punit::Bench::Pair::met($goal, $ratio) : undef,
        rounds => 1, spread => [min($ratio, @others), max($ratio, @others)],
    };
}

# A drain of eu in a process of its own.
sub _drain {
    my ($self, $within) = @_;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        my ($status, $said) =
            $self->{ground}->units->punitctl('eu', 'drain', 'eu', '--within', $within);
        print STDERR $said =~ s/^/  /gmr;
        POSIX::_exit($status);
    }
    return $pid;
}

# The users that were asked for have moved, and the audits are done.
sub _rested {
    my ($self) = @_;
    my $us = $self->{ground}->dbh('us');
    Punit::Units::wait_until(
        sub {
            !$us->selectrow_array(
                q{select true from punit.move where finished_at is null or (result = 'moved'
                    and audit is null) limit 1}
            )
        },
        120
    ) or croak 'moves do not end';
    return;
}

sub _owned {
    my ($self) = @_;
    return ($self->{ground}->dbh('eu')
            ->selectrow_array(q{select count(*) from punit.own where state in ('OWNED', 'FENCED')}))
        [0];
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
