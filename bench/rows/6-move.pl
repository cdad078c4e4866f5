# The cost of a whole move beside a bare COPY to COPY of as many rows, and its cost for other users.
# Then the drain of a unit.

use strict;
use warnings;
use List::Util qw(max sum);

use Punit::Bench::Drain;
use Punit::Bench::Ground;
use Punit::Bench::Others;
use Punit::Bench::Residents;
use Punit::Bench::Rounds;

my @users = qw(1000 100000);
my @names = ((map { ("move-$_", "move-$_-at-once") } @users),
    map {"move-others-$_"} qw(p50 p50-aa p95 p95-aa cpu failed));

return {
    names => [@names, Punit::Bench::Drain->names],
    prepare => sub {
        my $ground = Punit::Bench::Ground->direct;
        my $eu = $ground->dbh('eu');
        my $others;

        # Users with the same number of rows, in turn: one is moved, the others are only copied. The
        # first of each are not counted.
        my $whole = sub {
            my ($rows, $of_each) = @_;
            my @users;
            my $copy = sub {
                my ($how) = @_;
                my $id = shift @users;
                my $ms = $ground->floor('us', "$how $id");
                $ground->sweep_up('us', $id);
                return $ms;
            };
            return Punit::Bench::Rounds->new(
                before => sub {
                    my (%o) = @_;
                    @users = Punit::Bench::Residents->settle($eu,
                        users => 3 * (4 + $of_each * $o{rounds}), rows => $rows);
                    for (1 .. 4) {
                        $ground->move(shift @users, 'eu', 'us');
                        $copy->($_) for qw(tables copy);
                    }
                    $ground->dbh('us')->do("analyze $_")
                        for
                        qw(punit.own punit.move profile.profile auth.credential sports.activity
                            social.post metrics.sample);
                },
                round => sub {
                    my %took;
                    for my $i (1 .. $of_each) {
                        push @{ $took{move} }, $ground->move(shift @users, 'eu', 'us')->{whole};
                        # The second of them finds its sessions warm from the first.
                        push @{ $took{$_} }, $copy->($_)
                            for $i % 2 ? qw(tables copy) : qw(copy tables);
                    }
                    my ($move, @copied) =
                        map { Punit::Bench::Pair::median(@{ $took{$_} }) } qw(move tables copy);
                    return { tables => [$move, $copied[0]], copy => [$move, $copied[1]] };
                },
                rows => [
                    {
                        name => "move-$rows", figure => 'tables', unit => 'ms', digits => 1,
                        goal => '<= 1.5',
                        what => "whole move, $rows rows",
                        against => 'bare COPY to COPY, table by table'
                    },
                    {
                        name => "move-$rows-at-once", figure => 'copy', unit => 'ms', digits => 1,
                        what => "whole move, $rows rows",
                        against => 'bare COPYs, all in one round trip'
                    },
                ],
            );
        };

        # Moves a second, as many as 50,000 users make with three crossings a day.
        my $moves = 2;
        my @travellers;
        # Over all rounds together, because one window has few requests for a quantile.
        my $quantile = sub {
            my ($q, $ours, $peer) = @_;
            my $pair =
                sub { return Punit::Bench::Rounds::quantile_pair($q / 100, $ours, $peer, @_) };
            return (
                figure => sub {
                    map { $pair->($_) } @_
                },
                all => $pair
            );
        };
        my $window_s = sub { my (%o) = @_; return max(4, $o{seconds}) };
        my $beside = Punit::Bench::Rounds->new(
            before => sub {
                my (%o) = @_;
                $others //= Punit::Bench::Others->new($ground, rate => 100);
                @travellers = Punit::Bench::Residents->settle($eu,
                    users => $o{rounds} * 2 * $moves * (1 + $window_s->(%o)), rows => 1000);
                $others->begin(2);
                $others->end;
            },
            round => sub {
                my $seconds = $window_s->(@_);
                my $alone = sub { $others->begin($seconds); return $others->end };
                my $beside = sub {
                    my $end = Time::HiRes::time() + $seconds;
                    $others->begin($seconds);
                    my $next = Time::HiRes::time();
                    while (Time::HiRes::time() < $end - 0.3) {
                        $ground->move(shift @travellers, 'eu', 'us');
                        $next += 1 / $moves;
                        my $wait = $next - Time::HiRes::time();
                        Time::HiRes::sleep($wait) if $wait > 0;
                    }
                    return $others->end;
                };
                # In this order, a machine that slows down does so for both.
                my @windows = map { $_->() } $alone, $beside, $beside, $alone;
                my $of = sub {
                    my ($what, @some) = @_; return [map { $windows[$_]{$what} } @some]
                };
                return {
                    beside => $of->('latencies', 1, 2), before => $of->('latencies', 0),
                    after => $of->('latencies', 3),
                    cpu => [map { sum(@$_) / 2 } $of->('cpu', 1, 2), $of->('cpu', 0, 3)],
                    failed => [
                        map { sum(@$_) } $of->('failed', 0 .. 3),
                        [map { scalar @$_ } @{ $of->('latencies', 0 .. 3) }]
                    ],
                };
            },
            rows => [
                (
                    map {
                        my $q = $_;
                        {
                            name => "move-others-p$q",
                            $quantile->($q, ['beside'], ['before', 'after']), unit => 'ms',
                            digits => 2, goal => '<= 1.05',
                            what => "other users' p$q, $moves moves/s of 1000 rows",
                            against => 'without moves'
                        },
                            {
                            name => "move-others-p$q-aa", $quantile->($q, ['before'], ['after']),
                            unit => 'ms', digits => 2,
                            what => "other users' p$q, without moves", against => 'without moves'
                            }
                    } 50,
                    95
                ),
                {
                    name => 'move-others-cpu', figure => 'cpu', unit => 'us', digits => 0,
                    what => "other users' cpu a request, $moves moves/s", against => 'without moves'
                },
                {
                    name => 'move-others-failed', figure => 'failed', unit => '', digits => 0,
                    goal => '<= 0',
                    what => "other users' failed requests", against => 'all'
                },
            ],
        );

        return (
            $whole->(1000, 10), $whole->(100_000, 1), $beside,
            Punit::Bench::Drain->new(
                $ground, sub { Punit::Bench::Others->new($ground, rate => 100) }));
    }
};
