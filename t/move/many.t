#!/usr/bin/perl
# PUNIT_MOVERS: so many users are brought here at a time, the rest wait in the order in which they
# came.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Test::More;
use Time::HiRes qw(sleep);

my $x = Punit::MoveUnits->new(qw(eu us));
my $us = $x->mover('us', PUNIT_MOVERS => 2, PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_DWELL => '0s');

# each of the two has its connection to eu, and so has the auditor: what they do first when they
# connect is not the subject
$x->wait_until(
    'their connections',
    sub {
        # who was last to work is the first to work again: both must be needed
        my @pair = map { $x->user(eu => 1) } 1, 2;
        $us->foreign($_, 'eu', 1, 2) for @pair;
        $x->wait_state(us => $_, 'OWNED 2') for @pair;
        $x->one(eu => q{select count(*) from pg_stat_activity where usename = 'punit_peer_us'})
            >= 3;
    });

my @users = map { $x->user(eu => 3) } 1 .. 6;

sub begun {
    return $x->one(us => 'select count(*) from punit.move where user_id = any (?)', \@users)
}

# every PULL waits for this lock
my $h = $x->pg('eu')->dbh;
$h->begin_work;
$h->do('lock table note.item in access exclusive mode');
for my $u (@users) {
    $us->foreign($u, 'eu', 1, 2);
    # each is known here before the next one comes
    sleep 0.02;
}
$x->wait_until('two at a time', sub { begun() >= 2 });
# a third would begin at once if it began at all
sleep 1;
is begun(), 2, 'no more than PUNIT_MOVERS have begun';
$h->commit;
is $x->wait_state(us => $_, 'OWNED 2'), 'OWNED 2', 'the user arrives' for @users;
my $order =
    $x->db('us')
    ->selectcol_arrayref(
    'select user_id from punit.move where user_id = any (?) order by started_at', undef, \@users);
is_deeply [sort @$order[0, 1]], [sort @users[0, 1]], 'the first two first';
is_deeply [sort @$order[2 .. 5]], [sort @users[2 .. 5]], 'the others after them';
done_testing;
