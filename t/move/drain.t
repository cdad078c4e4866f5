#!/usr/bin/perl
# A drain takes a share of the time (PUNIT_DRAIN_SHARE), and a user who sends requests goes first.
# PUNIT_TEST_QUEUE: the number of users that are queued before (10000).
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Punit::Tries;
use Test::More;
use Time::HiRes qw(time sleep);

my $x = Punit::MoveUnits->new(qw(eu us));
my %env = (PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_DWELL => '0s');
my $us = $x->mover('us', %env, PUNIT_MOVERS => 1, PUNIT_DRAIN_SHARE => 10);

# a connection to eu, and what a session does for the first time
$x->cross(eu => us => $_) for $x->user(eu => 1);

# asked for at us, as ask_move does for a drain of eu
sub ask {
    my ($paced, @users) = @_;
    $x->db('us')->do(
        q{insert into punit.move (user_id, from_unit, to_unit, phase, asked, paced)
        select u, 'eu', 'us', 'wanted', true, ? from unnest(?::uuid[]) u}, undef, $paced, \@users
    );
    $x->db('us')->do('notify punit_move');
    return;
}

sub owned {
    return $x->one(
        us => q{select count(*) from punit.own where state = 'OWNED' and user_id = any (?)}, \@_)
}

sub until_owned {
    my (@users) = @_;
    my $began = time;
    $x->wait_until(@users . ' users', sub { owned(@users) == @users }, 60);
    return time - $began;
}

some_subtest 'a tenth of the time: ten times as long' => sub {
    my @prompt = map { $x->user(eu => 3) } 1 .. 20;
    my @paced = map { $x->user(eu => 3) } 1 .. 20;
    ask(0, @prompt);
    my $prompt = until_owned(@prompt);
    ask(1, @paced);
    my $rested = until_owned(@paced);
    cmp_ok $rested, '>', 4 * $prompt, sprintf '%.2f s, with rests %.2f s', $prompt, $rested;
};

subtest 'an operator that asks for one of them does not wait' => sub {
    my $u = $x->user(eu => 3);
    my $paced = sub { $x->one(us => 'select paced from punit.move where user_id = ?', $u) };
    $us->stop;
    $x->one(us => q{select punit.request_move(?, 'us', true)}, $u);
    ok $paced->(), 'asked for by a drain';
    $x->one(us => q{select punit.request_move(?, 'us')}, $u);
    ok !$paced->(), 'and by the operator';
    $x->one(us => q{select punit.request_move(?, 'us', true)}, $u);
    ok !$paced->(), 'a drain that asks again changes nothing';
    $us->start;
    is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'the user comes';
};

subtest 'a user with a warm copy is moved when asked for' => sub {
    my $u = $x->user(eu => 3);
    $us->foreign($u, 'eu', 1, 1);
    $x->wait_until('a copy', sub { ($x->record(us => $u)->{rounds} // 0) > 0 });
    $x->one(us => q{select punit.request_move(?, 'us', true)}, $u);
    is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'the user comes';
};

# a rest of a hundred times the work
$us->stop;
$us->{env}{PUNIT_DRAIN_SHARE} = 1;
$us->start;

subtest 'a user that turns up is moved at once, from the end of the queue or not in it' => sub {
    my $n = $ENV{PUNIT_TEST_QUEUE} // 10_000;
    my $queue = $x->db('eu')->selectcol_arrayref(
        'select id from (select gen_random_uuid() as id
            from generate_series(1, ?)) u, punit.create_user(u.id)',
        undef, $n
    );
    ask(1, @$queue);
    $x->wait_until('the first of the queue', sub { owned(@$queue) >= 1 });
    my $last = @$queue;
    for my $case (
        ['the last of the queue', sub { $queue->[--$last] }],
        ['somebody else', sub { $x->user(eu => 3) }]
        )
    {
        my ($who, $user) = @$case;
        my $arrives = sub {
            my $u = $user->();
            my $began = time;
            $us->foreign($u, 'eu', 1, 2);
            is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', "$who arrives";
            return time - $began;
        };
        ok once_within(3, $arrives), 'soon';
    }
    cmp_ok owned(@$queue), '<', $n / 10, 'before most others';
    my $stop = sub {
        my ($try) = @_;
        $us->start if $try > 1;
        return $us->stop;
    };
    ok once_within(1, $stop), 'the end of the process ends the rest';
    $x->db('us')
        ->do(
        q{update punit.move set phase = 'done', result = 'cancelled',
            finished_at = now() where phase = 'wanted'}
        );
    $us->start;
};

subtest 'the copy of a large user rests too, until the user turns up' => sub {
    my $turns_up = sub {
        my $u = $x->user(eu => 30_000);
        ask(1, $u);
        $x->wait_until('the user\'s rows', sub { $x->record(us => $u)->{rows_due} }, 30);
        sleep 2;
        is $x->state(us => $u), '-', 'two seconds later they are not all there';
        my $began = time;
        $us->foreign($u, 'eu', 1, 2);
        is $x->wait_state(us => $u, 'OWNED 2'), 'OWNED 2', 'the user turns up: owned here';
        my $seconds = time - $began;
        is $x->digest(us => $u), $x->digest(eu => $u), 'with all rows of the user';
        return $seconds;
    };
    ok once_within(5, $turns_up), 'soon';
};

done_testing;
