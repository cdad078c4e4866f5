#!/usr/bin/perl
# What a worker puts into the grid, and that it serves without it.
use strict;
use warnings;
use Test::More;

use Punit::Grid;
use Punit::Postgres;
use Punit::Server qw(directory);
use Punit::Tries;
use Punit::Worker;

my $dir = directory('worker');
my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply();
my $dbh = $pg->dbh;
my ($editor, $key) = ('0b6f2f0e-0000-4000-8000-000000000001', 'punit:doc:sports:' . '0' x 64);

my @memcached = map { Punit::Grid->new("$dir/grid$_.sock") } 1 .. 2;
my $grid = join ' ', map {"unix:$dir/grid$_.sock"} 1 .. 2;
my $sports = Punit::Worker->new($pg, 'sports', PUNIT_GRID => $grid);

sub lookup { my ($n, $name) = @_; return $memcached[$n - 1]->get($name) }

sub generation { return scalar $dbh->selectrow_array(q{select punit.generation_of('sports')}) }
sub holders {
    my $k = shift // $key; return grep { defined lookup($_, $k) } 1 .. 2
}
sub get { return $sports->request(GET => '/sports', grid_key => $key, @_) }
sub editor { return $sports->request(shift, shift, user => $editor, roles => 'user editor', @_) }

my $answer = $sports->request(GET => '/sports');
is $answer->{status}, 200, 'reference data are read without a user';
is scalar(holders()), 0, 'nothing is stored without a grid key';

$answer = get();
my ($home) = holders();
ok $home, 'a reference GET with a grid key is stored';
is scalar(holders()), 1, 'on one server';
my ($value, $flags) = lookup($home, $key);
is $value, "$answer->{headers}{etag} application/json\n$answer->{body}",
    'as entity tag, type, line feed, body';
is $flags, generation() % 2**32 || 1, 'its flags are the generation mod 2^32';
is_deeply [map { scalar lookup($_, 'punit:gen:sports') } 1 .. 2], [(generation()) x 2],
    'every server knows the generation before';

$_->flush for @memcached;
is get(none_match => $answer->{headers}{etag})->{status}, 304, 'a 304';
is lookup($home, $key), $value, 'fills the grid too';
$memcached[$home - 1]->flush;
$sports->request(HEAD => '/sports', grid_key => $key);
is lookup($home, $key), $value, 'and so does HEAD';

# ---- changes
my $made = editor(POST => '/sports', body => { name => 'Curling', category => 'ice', met => 4 });
is $made->{status}, 201, 'an editor makes a sport';
is_deeply [map { scalar lookup($_, 'punit:gen:sports') } 1 .. 2], [(generation()) x 2],
    'when the answer is there the generation has risen on every server: the write is read';
isnt + (lookup($home, $key))[1], generation() % 2**32,
    'the stored document is of another generation now';
like get()->{body}, qr/Curling/, 'the next read has it';
is + (lookup($home, $key))[1], generation() % 2**32 || 1, 'and stores it with the new generation';

my $id = $made->{json}{id};
is editor(GET => "/sports/$id/x")->{status}, 404, 'no such path';
$answer = $sports->request(GET => '/sports/0b6f2f0e-0000-4000-8000-00000000000f',
    grid_key => "$key-none");
is_deeply [$answer->{status}, holders("$key-none")], [404], 'a 404 is not stored';
is $sports->request(GET => '/sports/not-a-uuid')->{status}, 404, 'a text that is not an id: 404';
is $sports->request(POST => '/sports', body => {}, user => $editor)->{status}, 403,
    'without the role: 403';
like $sports->request(POST => '/sports', body => {}, user => $editor)
    ->{headers}{'www-authenticate'}, qr/insufficient_scope/, 'insufficient_scope';
is $sports->request(POST => '/sports', body => {}, roles => '')->{status}, 401,
    'without a user: 401';
is $sports->request(POST => '/sports', body => {}, user => $editor, roles => 'coeditor editors')
    ->{status}, 403, 'roles are compared whole';

$dbh->do('set session_replication_role = replica');
$dbh->do(
    q{insert into sports.sport (origin_unit, id, name, category, met)
        values ('ap', '0b6f2f0e-0000-4000-8000-0000000000aa', 'Sumo', 'x', 5)}
);
$answer = editor(PUT => '/sports/0b6f2f0e-0000-4000-8000-0000000000aa',
    body => { name => 'Sumo 2', category => 'x', met => 5 });
is_deeply [$answer->{status}, $answer->{body}, $answer->{headers}],
    [421, '', { 'content-length' => 0, 'punit-author' => 'ap' }],
    'a row of another unit is changed there: 421 with Punit-Author' or diag explain $answer;

# ---- an older document is not stored over what a server knows to be newer
$_->set('punit:gen:sports', 0, generation() + 5, 3) for @memcached;
$memcached[$home - 1]->command("delete $key");
is get()->{status}, 200, 'a worker with a database behind the grid answers';
is scalar(holders()), 0, 'and stores nothing';
is lookup(1, 'punit:gen:sports'), generation() + 5, 'nor does it lower the generation';
$_->command("delete punit:gen:sports") for @memcached;

# ---- nor when the grid has forgotten, and only the process knows: one read is held up until after
# a change
$dbh->do('set session_replication_role = origin');
$made = editor(POST => '/sports', body => { name => 'Held up', category => 'ice', met => 4 });
$dbh->do(
    q{create or replace function sports.sport_document(s sports.sport) returns json
    language plpgsql stable as $$ begin
        perform pg_advisory_xact_lock_shared(4711);
        return json_build_object('name', s.name);
    end $$}
);
$dbh->do('select pg_advisory_lock(4711)');
my $held = $sports->send_only(GET => "/sports/$made->{json}{id}", grid_key => "$key-held");
$sports->until(
    sub {
        $dbh->selectrow_array(
            q{select count(*) from pg_locks where locktype = 'advisory' and not granted})
    },
    'waits'
);
$dbh->do(q{update sports.sport set name = 'Changed' where id = ?}, undef, $made->{json}{id});
like get(query => 'limit=500')->{body}, qr/Changed/,
    'while a read is held up another one shows a change';
$_->flush for @memcached;
$dbh->do('select pg_advisory_unlock(4711)');
is $sports->collect($held)->{json}{name}, 'Held up', 'the first one answers what it has read';
is_deeply [holders("$key-held"), holders('punit:gen:sports')], [],
    'but after a flush of memcached it is not stored, nor is its generation';
get();
$_->command("delete punit:gen:sports") for @memcached;
$sports->request(GET => '/sports', query => 'limit=2');
is_deeply [map { scalar lookup($_, 'punit:gen:sports') } 1 .. 2], [(generation()) x 2],
    'an answer that is not stored raises the generation too, so no older text is read after it';

# ---- lists
my @names = map {"sport $_"} 10 .. 29;
$dbh->do(q{insert into sports.sport (name, category, met) values (?, 'page', 1)}, undef, $_)
    for @names;
my (@seen, $cursor, $pages);
do {
    my $page =
        $sports->request(GET => '/sports', query => 'limit=7' . ($cursor ? "&cursor=$cursor" : ''));
    push @seen, map { $_->{name} } @{ $page->{json}{items} };
    $cursor = $page->{json}{next};
    # rows that come and go before the cursor move nothing
    $dbh->do(q{insert into sports.sport (name, category, met) values ('aaa', 'page', 1)})
        if ++$pages == 2;
} while ($cursor && $pages < 20);
is_deeply \@seen, [sort 'Changed', 'Curling', 'Sumo', @names],
    'pages of a list join to the whole, once each, in order';
is $pages, 4, 'in as many pages as needed';
for (
    ['no cursor of ours', 'cursor=abc'], ['a cursor that is no base64url', 'cursor=%7B%7D'],
    ['limit 0', 'limit=0'], ['limit 501', 'limit=501'],
    ['a limit that is no number', 'limit=7x'], ['a limit given twice', 'limit=7&limit=8'],
    ['a broken escape', 'limit=%zz'])
{
    $answer = $sports->request(GET => '/sports', query => $_->[1]);
    is_deeply [$answer->{status}, $answer->{json}{type}], [400, 'urn:punit:invalid-query'],
        "$_->[0]: 400";
}
is $sports->request(GET => '/sports', query => 'limit=500&x=%zz&y')->{status}, 200,
    'arguments in no table are ignored';

# ---- memcached away
my $health = $sports->request(GET => '/sports/health');
is $health->{status}, 200, 'health: 200 when all answers';
$_->signal('STOP') for @memcached;
my $served = sub {
    $answer = get();
    is $answer->{status}, 200, 'served without memcached';
    return $answer->{ms} / 1000;
};
ok once_within(0.5, $served), 'memcached frozen: with hardly a delay';
ok once_within(1, sub { took(sub { $served->() for 1 .. 20 }) }), 'and none for the next requests';
$_->signal('CONT') for @memcached;
$_->stop('KILL') for @memcached;
ok once_within(0.2, $served), 'memcached killed: without delay';
$health = $sports->request(GET => '/sports/health');
is_deeply [$health->{status}, $health->{json}{failing}], [503, ['grid']], 'health names the grid';
is editor(DELETE => "/sports/$id")->{status}, 204, 'a change does not need it either';
unlink map {"$dir/grid$_.sock"} 1 .. 2;
$_->start for @memcached;
$sports->until(sub { get(); holders() }, 'fills again');
pass 'when memcached is back it is filled again';
my ($half) = holders();
$memcached[2 - $half]->stop('KILL');
$memcached[$half - 1]->command("delete $key");
# each thread has a client of its own, and some may still be holding back
$sports->until(sub { get(); holders() }, 'fills the other one');
is_deeply [holders()], [$half], 'with one of two servers gone the other one is filled all the same';

done_testing;
