#!/usr/bin/perl
# The movers begin anew again and again while users cross. No request fails, each user arrives, and
# what NGINX has reported once is never lost.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Command qw(beside);
use Punit::File qw(append);
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my $units = Punit::Units->start(
    units => ['eu', 'us'],
    env => {
        PUNIT_MOVE_QUIET => '1h',
        PUNIT_MOVE_DWELL => '1s',
        PUNIT_AUTH_ADDRESS_BURST => 10000,
    }
);
my %other = (eu => 'us', us => 'eu');

sub starts {
    my ($unit) = @_;
    my $n = () = $units->log_text($unit, 'mover') =~ / event=started /g;
    return $n;
}

sub reload {
    my ($unit) = @_;
    my $starts = starts($unit);
    kill HUP => $units->pid($unit, 'mover');
    return wait_until(sub { starts($unit) > $starts });
}

sub owned {
    my ($unit) = @_;
    return $units->one($unit, q{select count(*) from punit.own where state = 'OWNED'});
}

subtest 'what is reported once is not lost' => sub {
    my @users = map { Punit::User->register($units, 'eu') } 1 .. 30;

    # A request at eu makes the move wait for quiet. eu tells its mover of it only if a request of
    # the user came from another unit before. The mover hears of it before the second request at
    # us: a user that eu hears of after us has gone back, and then no move is due.
    my $round = sub {
        my ($unit, $route) = @_;
        for my $user (@users) {
            my $answer = $user->ask($unit, GET => '/profile');
            is "$answer->{status} $answer->{unit} $answer->{route}", "200 eu $route",
                "$unit: $route";
        }
    };
    $round->(us => 'forward');
    $round->(eu => 'local');
    ok wait_until(sub { $units->one('eu', 'select count(*) from punit.local_seen') == 30 }),
        'the mover of eu has heard of all';
    # The last requests that any of them sends.
    $round->(us => 'forward');
    ok reload('us'), 'the mover begins anew' for 1 .. 4;
    is owned('us'), 0, 'before any user has moved';
    append($units->dir . "/$_/unit.env", "PUNIT_MOVE_QUIET=1s\n") for qw(eu us);
    ok reload($_), 'and once more, with a shorter quiet' for qw(eu us);
    ok wait_until(sub { owned('us') == 30 }, 40), 'all users arrive' or diag owned('us');
    my @handed_on = $units->log_text('us', 'mover') =~ / event=handed-on (.*)/g;
    is_deeply \@handed_on, [('users=30 lost=0') x 5], 'since each mover has told the next one';
};

# A user who writes at one unit until the user is served there, and then at the other one.
sub commute {
    my ($until) = @_;
    my $user = Punit::User->register($units, 'eu');
    my ($unit, @failed, @written) = ('us');
    my $crossings = 0;
    while (time < $until || $crossings == 0) {
        my $text = "$$ " . @written;
        my $answer = $user->ask($unit, POST => '/social/posts', { text => $text });
        if ($answer->{status} == 201) { push @written, $text }
        else { push @failed, "$answer->{status} $answer->{content}" }
        if ($answer->{status} == 201 && $answer->{unit} eq $unit && $answer->{route} eq 'local') {
            $crossings++;
            $unit = $other{$unit};
        }
        last if time > $until + patience(60);
        sleep 0.1;
    }
    my @posts = $user->posts($unit);
    return { crossings => $crossings, failed => \@failed, written => \@written, posts => \@posts };
}

subtest 'users who cross and write' => sub {
    my $until = time + 25;
    my @commuters = map { beside(\&commute, $until) } 1 .. 4;
    my $reloads = 0;
    while (time < $until) {
        for my $unit (qw(eu us)) { $reloads += reload($unit) }
        sleep 0.5;
    }
    cmp_ok $reloads, '>', 8, 'the movers begin anew all the time';
    for my $commuter (@commuters) {
        my $said = $commuter->();
        is_deeply $said->{failed}, [], 'no request of a user fails';
        is_deeply $said->{posts}, $said->{written}, 'each write is there once';
        cmp_ok $said->{crossings}, '>', 0, 'and the user crosses';
    }
};

done_testing;
