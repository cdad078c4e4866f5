# Twenty users flip between units for half a minute and write: no request fails, no write is lost.
# t/chaos/commuter is the long form.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Chaos::Commuter;
use Punit::Units;
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us', 'ap'],
    env => { PUNIT_MOVE_DWELL => '500ms', PUNIT_MOVE_QUIET => '500ms' });
my $r =
    Punit::Chaos::Commuter::run($units, users => 20, seconds => 30, processes => 4, pause => 500,
    seed => 4);
note Punit::Chaos::Commuter::report($r);
is_deeply $r->{failed}, [], "$r->{requests} requests, none failed";
is_deeply $r->{wrong}, [], 'one owner for each user, and each acknowledged write there once';
cmp_ok $r->{moves}, '>=', 20, "they were handed over again and again: $r->{moves} times";
done_testing;
