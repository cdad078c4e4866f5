#!/usr/bin/perl
# What a worker answers about users who are owned elsewhere, are arriving, are gone, or whose owner
# is down.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);

use Punit::Postgres;
use Punit::Tries;
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'us');
$pg->apply('punit', 'profile');
my $dbh = $pg->dbh;
my $n = 0;

# A user as the mover would leave it here.
sub user {
    my (%o) = @_;
    my $id = $pg->add_user(sprintf('0b6f2f0e-0000-4000-8000-%012d', ++$n), "user $n");
    $dbh->begin_work;
    $dbh->do('delete from punit.home where user_id = ?', undef, $id);
    $dbh->do(
              'update punit.own set '
            . join(', ', map { "$_ = " . $dbh->quote($o{$_}) } sort keys %o)
            . ' where user_id = ?',
        undef, $id
    ) if %o;
    $dbh->commit;
    return $id;
}

my $profile = Punit::Worker->new($pg, 'profile', PUNIT_UNIT => 'us', PUNIT_PG_POOL => 2);

sub get { return $profile->request(GET => '/profile', user => @_) }
sub patch { return $profile->request(PATCH => '/profile', body => { name => 'new' }, user => @_) }

sub is_misdirected {
    my ($answer, $owner, $name) = @_;
    is_deeply [$answer->{status}, $answer->{body}, $answer->{headers}],
        [421, '', { 'content-length' => 0, 'punit-owner' => $owner }], $name
        or diag explain $answer;
}

my $copy = user(state => 'COPY', epoch => 3, owner_hint => 'eu');
is_misdirected(get($copy), 'eu; epoch=3',
    'a read of a copy is a 421 without a body that names the owner');
is_misdirected(patch($copy), 'eu; epoch=3', 'so is a write');
is_deeply [$dbh->selectrow_array('select name from profile.profile where user_id = ?', undef, $copy)
    ], ['user 1'],
    'the misdirected write has done nothing';

my $fenced = user(state => 'FENCED', epoch => 5, fence_to => 'ap', fence_epoch => 6);
is_misdirected(get($fenced), 'ap; epoch=6',
    'a fenced user belongs to the next unit, at the epoch of the fence');
is_misdirected(patch($fenced, epoch => 5), 'ap; epoch=6',
    'a request with the epoch of before the fence is sent there');

my $far = '0b6f2f0e-0000-4000-8000-00000000ffff';
$dbh->do('insert into punit.home values (?, ?, ?)', undef, 'ap', $far, 4);
is_misdirected(get($far), 'ap; epoch=4', 'a user without a row here is found in the directory');
is get($far)->{json}, undef, 'a 421 has no document';

my $nobody = get('0b6f2f0e-0000-4000-8000-00000000eeee');
is_deeply [$nobody->{status}, $nobody->{json}{type}], [401, 'urn:punit:unknown-user'],
    'a user that no unit knows: 401 unknown-user';
my $erased = user(state => 'ERASED', epoch => 2);
is_deeply [map { $_->{json}{type} } get($erased), patch($erased), get($erased, route => 'stale')],
    [('urn:punit:unknown-user') x 3],
    'an erased user is unknown';

# ---- arriving
my $late = user(state => 'COPY', epoch => 1, owner_hint => 'eu');
my $answer;
my $is_waited_for = sub {
    $answer = patch($late, epoch => 2);
    is_deeply [$answer->{status}, $answer->{json}{type}, $answer->{headers}{'retry-after'},
        $answer->{headers}{'punit-owner'}],
        [503, 'urn:punit:moving', 1, undef],
        'a user said to be here by a later epoch that never arrives: 503, never a 421 back';
    cmp_ok $answer->{ms}, '>', 1900, 'not before 2 s';
    return $answer->{ms} / 1000;
};
ok once_within(2.5, $is_waited_for), 'after 2 s';
is_misdirected(get($late, epoch => 1), 'eu; epoch=1',
    'an epoch that is not above the own one is not waited for');

my $ahead = user(state => 'COPY', epoch => 1, owner_hint => 'eu');
$dbh->do('insert into punit.home values (?, ?, ?)', undef, 'ap', $ahead, 7);
my $is_elsewhere = sub {
    $answer = patch($ahead, epoch => 3);
    is_misdirected($answer, 'ap; epoch=7',
        'when another unit owns the user since a later epoch still, the request goes there');
    return $answer->{ms} / 1000;
};
ok once_within(1, $is_elsewhere), 'at once';

some_subtest 'more users arrive than there are connections' => sub {
    my @arriving = map { user(state => 'COPY', epoch => 1, owner_hint => 'eu') } 1 .. 4;
    my @waiting = map {
        $profile->send_only(PATCH => '/profile', user => $_, epoch => 2, body => { name => 'here' })
    } @arriving;
    sleep 0.3;
    is get(user())->{status}, 200,
        'more requests wait than there are connections, and others are served';
    $dbh->do(
        "update punit.own set state = 'OWNED', epoch = 2, owner_hint = null
            where user_id = any (?)",
        undef, \@arriving);
    my @answers = map { $profile->collect($_) } @waiting;
    is_deeply [map { "$_->{status} " . ($_->{headers}{'punit-owner'} // '') } @answers],
        [('200 us; epoch=2') x 4],
        'a request that waited is served when the user has arrived' or diag explain \@answers;
    ok !(grep { $_->{ms} > 1500 } @answers), 'without waiting longer than needed'
        or diag join ' ', map { $_->{ms} } @answers;
};

# ---- the owner is down
$dbh->do("update punit.own set touched_at = now() - interval '90 s' where user_id = ?", undef,
    $copy);
$answer = get($copy, route => 'stale');
is_deeply [$answer->{status}, $answer->{json}{name}, $answer->{headers}{'punit-owner'}],
    [200, 'user 1', undef],
    'the stale route reads a copy and claims no owner';
ok $answer->{headers}{'punit-stale'} >= 90 && $answer->{headers}{'punit-stale'} < 120,
    'and says how old it is';
$answer = patch($copy, route => 'stale');
is_deeply [$answer->{status}, $answer->{headers}{'retry-after'}], [503, 1],
    'a write on the stale route: 503';
$dbh->do("update punit.own set ver = -1 where user_id = ?", undef, $copy);
is get($copy, route => 'stale')->{status}, 503, 'no copy: 503, not a 421 to the unit that is down';

done_testing;
