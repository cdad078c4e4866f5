# The moment of the hand-over, with 0, 20 and 80 ms there and back between the units. The rows are
# the time without an owner for the user's writes, the wait of a user who writes all the while, and
# a commuter's flip.

use strict;
use warnings;

use Punit::Bench::Ground;
use Punit::Bench::Residents;
use Punit::Bench::Rounds;
use Punit::Client;
use Time::HiRes qw(sleep time);

my @round_trips = (0, 20, 80);
my $flip = 'move-delta-100-of-100000';
my @names = map {
    my $ms = $_;
    ("move-pause-$ms", "move-held-$ms", "move-pause-$ms-p99", "move-wait-$ms", "move-failed-$ms",
        "$flip-$ms")
} @round_trips;

# A user writes at the other unit, forwarded, until that unit serves the user. Gives ms and status
# of each request.
sub cross {
    my ($ground, $user, $from, $to) = @_;
    my ($epoch) = $ground->dbh($from)
        ->selectrow_array('select epoch from punit.own where user_id = ?', undef, $user->id);
    my (@waits, @pairs, @trips, $failed, $first, $second);
    # One write a request. HTTP::Tiny makes two, which wait 40 ms for an acknowledgement.
    my $client = Punit::Client->new($ground->units->port($to));
    my $end = time + 20;
    my $served = 0;
    while ($served < 6) {
        die $user->id . " is not served at $to\n" if time > $end;
        my $sent = time;
        my $answer = $client->request(
            POST => '/social/posts', body => qq({"text":"from $to at $sent"}),
            headers =>
                [Authorization => "Bearer $user->{token}", 'Content-Type' => 'application/json']);
        push @waits, 1000 * (time - $sent);
        $failed++ if $answer->{status} != 201;
        $user->{token} = $answer->{headers}{'punit-token'} // $user->{token};
        if (($answer->{headers}{'punit-route'} // '') eq 'local') {
            # The time of a commit and of the way while the user writes, as during the hand-over.
            push @pairs, $ground->floor($to, 'pair') if $served % 2 == 0;
            push @trips, $ground->floor($to, 'trip') if $served % 2 == 1;
            $served++;
        }
        # NGINX reports likewise, but later. The first report calls for a copy, the second for a
        # move.
        $ground->report($to, $user->id, $from, $epoch, 1)
            if $first ? !$second && time - $first > 0.3 && ($second = 1) : ($first = time);
        sleep 0.003;
    }
    my $move = $ground->moved($user->id, $to, $epoch);
    my ($wrote, $fenced) = $ground->written_at($user->id, $from, 'FENCED', $epoch);
    my (undef, $activated) = $ground->written_at($user->id, $to, 'OWNED', $epoch + 1);
    return {
        waits => \@waits, pairs => \@pairs, trips => \@trips, failed => $failed // 0,
        pause => 1000 * ($activated - $fenced), held => 1000 * ($move->{activated} - $wrote),
    };
}

return {
    names => \@names,
    prepare => sub {
        my $ground = Punit::Bench::Ground->relayed;
        my $quantile = \&Punit::Bench::Rounds::quantile;
        my ($writer, $commuter);
        my %other = (eu => 'us', us => 'eu');
        my ($at, $lives) = ('eu', 'eu');

        return map {
            my $ms = $_;
            my $all = sub {
                my $what = shift; return map { @{ $_->{$what} } } @_
            };
            my $sum = sub { my $what = shift; my $n = 0; $n += $_->{$what} for @_; return $n };
            (
                Punit::Bench::Rounds->new(
                    before => sub {
                        $writer //= $ground->register('eu');
                        $ground->round_trip($ms);
                        for (1 .. 10) {
                            cross($ground, $writer, $at, $other{$at}); $at = $other{$at}
                        }
                    },
                    round => sub {
                        my @crossings;
                        for (1 .. 10) {
                            push @crossings, cross($ground, $writer, $at, $other{$at});
                            $at = $other{$at};
                        }
                        my @pauses = map { $_->{pause} } @crossings;
                        return {
                            pauses => \@pauses, waits => [$all->('waits', @crossings)],
                            failed => $sum->('failed', @crossings),
                            pause => [
                                $quantile->(0.5, @pauses),
                                $quantile->(0.5, $all->('trips', @crossings)) / 2
                                    + 3 * $quantile->(0.5, $all->('pairs', @crossings))
                            ],
                            held => [
                                $quantile->(0.5, map { $_->{held} } @crossings),
                                $quantile->(0.5, @pauses)
                            ],
                        };
                    },
                    rows => [
                        {
                            name => "move-pause-$ms", figure => 'pause', unit => 'ms', digits => 2,
                            goal => '<= 1',
                            what => "write pause, p50, $ms ms there and back",
                            against => 'half a trip as timed + 3 pairs of commits'
                        },
                        {
                            name => "move-held-$ms", figure => 'held', unit => 'ms', digits => 2,
                            what => 'from before the one commit until the other is known, p50',
                            against => 'write pause, p50'
                        },
                        {
                            name => "move-pause-$ms-p99", unit => 'ms', digits => 2, goal => '<= 1',
                            figure =>
                                sub { return [$quantile->(0.99, $all->('pauses', @_)), $ms + 50] },
                            what => 'write pause, p99', against => 'there and back + 50 ms'
                        },
                        {
                            name => "move-wait-$ms", unit => 'ms', digits => 2,
                            figure => sub {
                                return [$quantile->(1, $all->('waits', @_)),
                                    $quantile->(1, $all->('pauses', @_))]
                            },
                            what => 'longest wait of a client',
                            against => 'longest write pause'
                        },
                        {
                            name => "move-failed-$ms", unit => '', digits => 0, goal => '<= 0',
                            figure => sub {
                                return [$sum->('failed', @_), scalar(my @n = $all->('waits', @_))]
                            },
                            what => 'failed requests',
                            against => 'all of that client'
                        },
                    ],
                ),
                Punit::Bench::Rounds->new(
                    before => sub {
                        $ground->round_trip(0);
                        if (!$commuter) {
                            ($commuter) =
                                Punit::Bench::Residents->settle($ground->dbh('eu'), users => 1,
                                rows => 100_000);
                            $ground->move($commuter, 'eu', 'us');
                            $lives = 'us';
                            $ground->dbh('us')->do("vacuum analyze $_")
                                for qw(punit.own sports.activity social.post metrics.sample);
                        }
                        $ground->round_trip($ms);
                        for (1 .. 10) {
                            Punit::Bench::Residents->change($ground->dbh($lives), $commuter, 100);
                            $ground->move($commuter, $lives, $other{$lives});
                            $lives = $other{$lives};
                        }
                    },
                    round => sub {
                        my @flips;
                        for (1 .. 6) {
                            Punit::Bench::Residents->change($ground->dbh($lives), $commuter, 100);
                            my $move = $ground->move($commuter, $lives, $other{$lives});
                            die "$move->{rows_sent} rows came, and not 100\n"
                                if $move->{rows_sent} != 100;
                            push @flips, $move->{whole};
                            $lives = $other{$lives};
                        }
                        return { flip => [$quantile->(0.5, @flips), 15 + 2 * $ms] };
                    },
                    rows => [{
                        name => "$flip-$ms", figure => 'flip', unit => 'ms', digits => 2,
                        goal => '<= 1',
                        what => "flip, 100 changed rows of 100000, $ms ms",
                        against => '15 ms + 2 round trips'
                    }],
                ))
        } @round_trips;
    }
};
