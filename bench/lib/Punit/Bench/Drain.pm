package Punit::Bench::Drain;

# `punitctl drain eu` with 10,000 small users: that they leave, how fast, what it does to the movers' memory and to
# everybody else. One drain; while its first users leave it is stopped and let go on in turn (SIGSTOP: the movers and the
# command), so that requests beside it and without it are of the same minutes and the same databases, and windows without
# it are held against each other as well.
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

# Windows of latency: so long, so many rounds of them for each round that is asked for; a round is without, beside,
# beside, without.
use constant { WINDOW => 2, TIMES => 3 };

my @latency = map { ("drain-10000-p$_", "drain-10000-p$_-aa") } 50, 95;
my @names = (qw(drain-10000 drain-10000-memory), @latency, 'drain-10000-failed');

sub names { return @names }

# others: gives the clients (Punit::Bench::Others) beside whom it runs
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
    my @floor = map { my $ms = $ground->floor('us', "copy $_"); $ground->sweep_up('us', $_); $ms } @ids[0 .. 20];

    my $first = $self->_owned;
    my $began = time;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        POSIX::setpgid(0, 0);
        my ($status, $said) = $ground->units->punitctl('eu', 'drain', 'eu', '--within', LIMIT);
        print STDERR $said =~ s/^/  /gmr;
        POSIX::_exit($status);
    }
    POSIX::setpgid($pid, $pid);
    my @stopped = (-$pid, map { $ground->units->pid($_, 'mover') } qw(eu us));

    # who is owned by eu is drained, and forwarded from then on: another way, whatever the drain costs
    my (@rounds, $failed, $sent);
    my $window = sub {
        my ($beside) = @_;
        kill $beside ? 'CONT' : 'STOP', @stopped;
        sleep 0.3;
        $others->begin(WINDOW);
        my $seen = $others->end;
        $failed += $seen->{failed};
        $sent += @{ $seen->{latencies} };
        return $seen->{at}{us};
    };
    my %memory;
    my $look = sub {
        my $gone = 1 - $self->_owned / $first;
        for my $share (0.1, 0.5, 0.99) {
            $memory{$share} //= $self->_memory if $gone >= $share;
        }
    };
    my $paused = time;
    my $ok = eval {
        $window->(1);
        while (@rounds < TIMES * $o{rounds} && waitpid($pid, POSIX::WNOHANG) == 0) {
            my ($before, @beside) = map { $window->($_) } 0, 1, 1;
            push @rounds, { without => [ $before, $window->(0) ], beside => \@beside };
            $look->();
        }
        1;
    };
    kill CONT => @stopped;
    die $@ if !$ok;
    $paused = (time - $paused) / 2;
    while (waitpid($pid, POSIX::WNOHANG) == 0) {
        $others->begin(1);
        $look->();
        my $seen = $others->end;
        $failed += $seen->{failed};
        $sent += @{ $seen->{latencies} };
    }
    croak 'the drain failed' if $?;
    my $rate = $first / (time - $began - $paused);
    $ground->units->punitctl('eu', 'drain', 'eu', '--end');

    return (
        $self->_row('drain-10000', undef, 'users a second', 'bare COPY to COPY, one by one', '%.0f/s',
            [ $rate, 1000 / Punit::Bench::Pair::median(@floor) ]),
        $self->_row('drain-10000-memory', '<= 1.1', 'memory of the movers, most of at 50 % and at the end', 'at 10 %', '%.1f MB',
            [ max(@memory{ 0.5, 0.99 }), $memory{0.1} ]),
        (map { $self->_latency($_, @rounds) } 50, 95),
        $self->_row('drain-10000-failed', '<= 0', "other users' failed requests", 'all', '%.0f', [ $failed, $sent ]),
    );
}

# Of all windows together: a quantile of one window is made of a few requests. The spread is that of thirds of the rounds.
sub _latency {
    my ($self, $q, @rounds) = @_;
    my $of = sub {
        my ($pick, @some) = @_;
        return Punit::Bench::Rounds::quantile($q / 100, map { map { @$_ } $pick->($_) } @some);
    };
    my $row = sub {
        my ($name, $goal, $what, $against, $ours, $peer) = @_;
        my @thirds = map { my $i = $_; [ @rounds[ grep { $_ % 3 == $i } 0 .. $#rounds ] ] } 0 .. min(2, $#rounds);
        return $self->_row($name, $goal, $what, $against, '%.2f ms', map { [ $of->($ours, @$_), $of->($peer, @$_) ] } \@rounds, @thirds);
    };
    return (
        $row->("drain-10000-p$q", '<= 1.05', "p$q of users of us while eu is drained", 'drain stopped', sub { @{ $_[0]{beside} } },
            sub { @{ $_[0]{without} } }),
        $row->("drain-10000-p$q-aa", undef, "p$q of users of us, drain stopped", 'drain stopped', sub { $_[0]{without}[0] }, sub { $_[0]{without}[1] }),
    );
}

# pairs: ours and the peer's; further ones make the spread
sub _row {
    my ($self, $name, $goal, $what, $against, $format, @pairs) = @_;
    my ($ours, $peer) = @{ $pairs[0] };
    my ($ratio, @others) = map { $_->[0] / $_->[1] } @pairs;
    return {
        name => $name, what => $what, against => $against, ours => sprintf($format, $ours), peer => sprintf($format, $peer),
        ratio => $ratio, goal => $goal, met => defined $goal ? Punit::Bench::Pair::met($goal, $ratio) : undef,
        rounds => 1, spread => [ min($ratio, @others), max($ratio, @others) ],
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
