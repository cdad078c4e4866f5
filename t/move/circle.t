#!/usr/bin/perl
# Two units each say that the other one owns a user, as may be for a moment before either has taken
# the user. The mover asks on, but not in a circle at full speed. It takes the user as soon as one
# unit knows better.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Test::More;
use Time::HiRes qw(sleep);

my $x = Punit::MoveUnits->new(qw(eu us ap));
my $us = $x->mover('us');
my $u = $x->user(eu => 3);
my ($fork) = $x->one(eu => 'select fork from punit.own where user_id = ?', $u);

# How often eu was asked by PULL.
sub asked {
    return $x->one(eu =>
            q{select coalesce(sum(calls), 0) from pg_stat_user_functions where schemaname = 'punit'
                and funcname = 'pull'}
    );
}
$x->db('eu')->do(q{alter system set track_functions = 'all'});
$x->db('eu')->do('select pg_reload_conf()');

$x->db('eu')
    ->do(q{update punit.own set state = 'COPY', epoch = 5, owner_hint = 'ap' where user_id = ?},
    undef, $u);
$x->db('ap')
    ->do(q{insert into punit.own (user_id, state, epoch, owner_hint) values (?, 'COPY', 5, 'eu')},
    undef, $u);
$us->foreign($u, 'eu', 1, 2);
$x->wait_until('eu is asked a second time', sub { asked() >= 2 });
sleep 3;
cmp_ok asked(), '<', 60,
    'asked on after ever longer waits, not as fast as can be: ' . asked() . ' times in 3 s';

$x->db('eu')
    ->do(q{update punit.own set state = 'OWNED', epoch = 6, owner_hint = null where user_id = ?},
    undef, $u);
is $x->wait_state(us => $u, 'OWNED 7', 30), 'OWNED 7', 'taken as soon as one of them owns the user';
is $x->one(us => 'select fork from punit.own where user_id = ?', $u), $fork,
    'with the user\'s history';
done_testing;
