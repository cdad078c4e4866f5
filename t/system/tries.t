#!/usr/bin/perl
# Deadlines of tests stretch with the load, and what tests say of durations does not.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test2::API qw(intercept);
use Test::More;

use Punit::Tries;
use Punit::Wait qw(patience);

cmp_ok patience(10), '>=', 10, 'a deadline is never shorter than on an idle machine';
cmp_ok patience(10), '<=', 120, 'nor longer than twelve times that';
like patience(0.1), qr/^\d+$/, 'it is in whole seconds, as --within takes them';
is patience(0), 0, 'no time stays no time';

my $tries = 0;
ok once_within(1, sub { ++$tries < 3 ? 2 : 0.5 }), 'the third try keeps the limit';
is $tries, 3, 'and is the last';
$tries = 0;
intercept { ok !once_within(1, sub { $tries++; return 1 }), 'none is below the limit' };
cmp_ok $tries, '>=', 3, 'a limit that no try keeps is tried a few times';
cmp_ok $tries, '<=', 36, 'not for ever';
my $late;
intercept { $late = once_within(1, sub { 1.001 }) };
ok !$late, 'and is not kept';

# The events that are failures, of a subtest of these values in turn.
sub failures {
    my @values = @_;
    my $events = intercept {
        some_subtest 'in turn' => sub { ok @values > 1 ? shift @values : $values[0] }
    };
    return scalar grep { $_->causes_fail } @$events;
}
is failures(1), 0, 'a subtest that passes';
is failures(0, 0, 1), 0, 'one that passes at the third try';
is failures(0), 1, 'one that never passes fails, once';
my $runs = 0;
my $lives = eval {
    intercept {
        some_subtest 'dies' => sub { $runs++; die "broken\n" }
    };
    1;
};
is $lives // $@, "broken\n", 'what dies ends the test';
is $runs, 1, 'what dies is not tried again';

done_testing;
