#!/usr/bin/perl
# A unit whose token grid is flushed, full, frozen or dead lets no ended token in and keeps no good
# one out.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my $units = Punit::Units->start(units => ['eu', 'us'],
    env => { PUNIT_GRID_MEMORY => 8, PUNIT_MOVE_AFTER => 64 });
my $tokens = $units->memcached('us', 'tokens');

my $good = Punit::User->register($units, 'eu');
my $ended = Punit::User->register($units, 'eu');
# asked at us, which owns neither of them
sub asks {
    my ($user) = @_;
    return $user->ask('us', GET => '/training/exercises?limit=1')->{status}
}
is asks($_), 200, 'good at us' for $good, $ended;
is $ended->ask('eu', POST => '/auth/logout')->{status}, 204, 'one logs out at eu';
ok wait_until(sub { asks($ended) == 401 }, 5), 'the user\'s token has ended at us';

# Sends text as it is, and reads until a line that begins with the end.
sub memcached {
    my ($text, $end) = @_;
    my $s = $tokens->connect or die $tokens->address . ": $!";
    print $s $text;
    my ($answer, $got) = ('');
    while (defined($got = <$s>)) { $answer .= $got; last if $got =~ /^(?:$end)/ }
    return $answer;
}

# For some seconds: longer than a verdict may be used without asking again.
sub right_all_along {
    my ($name) = @_;
    my (%good, %ended);
    my $end = time + 2.5;
    while (time < $end) {
        $good{ asks($good) }++;
        $ended{ asks($ended) }++;
        # in no verdict cache yet
        my $token = $units->http('us', POST => '/auth/login', undef,
            { email => $good->email, password => 'correct horse battery' });
        $good{
            $token->{status} == 200
            ? $units->http(
                'us', GET => '/training/exercises?limit=1', $token->{json}{access_token}
            )->{status}
            : "login $token->{status}"
        }++;
        sleep 0.1;
    }
    is join(' ', keys %good), '200', "$name: a good token is never refused";
    is join(' ', keys %ended), '401', "$name: an ended one never accepted";
    return;
}

right_all_along('well');
$tokens->flush;
right_all_along('flushed');

subtest 'full' => sub {
    my $value = 'x' x 4000;
    my $n = 0;
    ok wait_until(
        sub {
            my $sets = join '',
                map { 'set filler' . $n++ . " 0 0 4000 noreply\r\n$value\r\n" } 1 .. 500;
            memcached($sets . "version\r\n", 'VERSION');
            $tokens->stat('evictions');
        },
        20
        ),
        'it evicts';
    memcached(
        join(
            '', map { 'set filler' . $n++ . " 0 0 20 noreply\r\n" . 'x' x 20 . "\r\n" } 1 .. 30000
            )
            . "version\r\n",
        'VERSION'
    );
    right_all_along('full');
};

my $pid = $units->pid('us', 'tokens');
kill STOP => $pid;
right_all_along('frozen');
kill CONT => $pid;
right_all_along('awake');

$units->process('us', 'tokens', 'down');
right_all_along('dead');
$units->process('us', 'tokens', 'up');
right_all_along('back');

done_testing;
