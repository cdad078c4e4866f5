package Punit::Tries;

# What a test says about durations, on a machine that has other work too. The limit stays as it is.
# The work is repeated until it keeps the limit once, since one success proves that the program can.
# The number of tries grows with the load, as a deadline does.
#
#   ok once_within(2, sub { took(sub { $worker->stop }) }), 'it ends within 2 s';
#   ok some_try(sub { ... }), 'the second one overtakes the first';
#   some_subtest 'a document is filled' => sub { ... };
#
# This is not for what must never happen: there each try counts.

use strict;
use warnings;
use Exporter qw(import);
use Test2::API qw(intercept);
use Test::More ();
use Time::HiRes qw(time);

use Punit::Wait qw(patience);

use constant TRIES => 3;

our @EXPORT = qw(once_within some_subtest some_try took);

# How many seconds a piece of work takes.
sub took {
    my ($work) = @_;
    my $start = time;
    $work->();
    return time - $start;
}

# True as soon as one try returns true. It gets its number, from 1 on.
sub some_try {
    my ($try) = @_;
    my $n = 0;
    while ($n++ < patience(TRIES)) {
        return 1 if $try->($n);
    }
    return 0;
}

# True as soon as one try returns fewer seconds than the limit.
sub once_within {
    my ($limit, $try) = @_;
    my @seconds;
    return 1 if some_try(sub { push @seconds, $try->(@_); $seconds[-1] < $limit });
    Test::More::diag(sprintf 'seconds: %s', join ' ', map { sprintf '%.3f', $_ } @seconds);
    return 0;
}

# A subtest that passes as soon as one try of it does. The last one shows what fails. A try that
# dies is the last one.
sub some_subtest {
    my ($name, $code) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $passes = sub {
        my $events = intercept { Test::More::subtest($name => $code) };
        return !grep { $_->causes_fail } @$events;
    };
    return Test::More::pass($name) if some_try($passes);
    return Test::More::subtest($name => $code);
}

1;
