#!/usr/bin/perl
# Idempotency-Key: the same key, route and body gives the same answer, and the effect is there once.
use strict;
use warnings;
use Test::More;

use Punit::Postgres;
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply();
my $dbh = $pg->dbh;
my @users = map { sprintf '0b6f2f0e-0000-4000-8000-%012d', $_ } 1 .. 2;
$dbh->do('select punit.create_user(?)', undef, $_) for @users;
my ($sport) = $dbh->selectrow_array(
    q{insert into sports.sport (name, category, met) values ('Curling', 'ice', 4) returning id});

my $sports = Punit::Worker->new($pg, 'sports');
my %body = (sport_id => $sport, started_at => '2026-03-01T10:00:00Z', duration_s => 3600);

sub post {
    my ($key, %o) = @_;
    return $sports->request(POST => '/activities', user => $users[0], body => \%body, key => $key,
        %o)
}
sub count {
    return
        scalar $dbh->selectrow_array('select count(*) from sports.activity where user_id = ?',
        undef, $_[0] // $users[0])
}

my $first = post('k1');
is $first->{status}, 201, 'a POST with a key creates';
my $again = post('k1');
is_deeply [@{$again}{qw(status body)}], [@{$first}{qw(status body)}],
    'the same again gives the same answer';
is count(), 1, 'and creates nothing';
is $again->{headers}{'punit-owner'}, 'eu; epoch=1', 'the repeated answer names the owner too';

my $other = post('k1', body => { %body, duration_s => 1 });
is_deeply [$other->{status}, $other->{headers}{'content-type'}], [422, 'application/problem+json'],
    'the same key with another body: 422';
is count(), 1, 'which creates nothing';
is post('k1', user => $users[1])->{status}, 201, 'the key of another user is another key';
is post(undef)->{status}, 201, 'without a key every POST creates';
is post(undef)->{status}, 201, 'each time';
is count(), 3, 'so there are three now';

my @running = map {
    $sports->send_only(POST => '/activities', user => $users[0], body => \%body, key => 'k2')
} 1 .. 8;
my @answers = map { $sports->collect($_) } @running;
is_deeply {
    map { ("$_->{status} $_->{body}" => 1) } @answers
}, { "201 $answers[0]{body}" => 1 }, 'eight at once get one answer'
    or diag explain [map {"$_->{status} $_->{body}"} @answers];
is count(), 4, 'and create one';

for (['of 256 characters', 'x' x 256], ['with control characters', "a\tb"],
    ['beyond ASCII', "\xc3\xa4"])
{
    my $answer = post($_->[1]);
    is_deeply [$answer->{status}, $answer->{json}{type}], [400, 'urn:punit:invalid-header'],
        "a key $_->[0]: 400";
}
is post('x' x 255)->{status}, 201, 'a key of 255 characters is taken';

is post('k3', body => { %body, sport_id => 'x' })->{status}, 422, 'a refused body';
is post('k3')->{status}, 201, 'does not use the key up';

$dbh->do(q{update punit.own set state = 'COPY', owner_hint = 'us', epoch = 2 where user_id = ?},
    undef, $users[0]);
is post('k1')->{status}, 421, 'where the user is not owned a known key is not answered';

done_testing;
