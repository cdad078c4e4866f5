# Sports: the kinds of sport, reference data.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my @editor = (user => 'e0000000-0000-4000-8000-000000000001', roles => 'user editor');
my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $sports = Punit::Worker->new($pg, 'sports');

sub sport { return { name => 'Chess boxing', category => 'combat', met => 7.5, @_ } }

subtest 'the first sports are there once, however often they are sown' => sub {
    my ($n) = $db->selectrow_array('select sports.seed()');
    cmp_ok $n, '>=', 25;
    is $db->selectrow_array('select sports.seed()'), 0;
    is scalar($sports->items('/sports?limit=7')), $n;
};

subtest 'the list is by name and says name, category and metabolic equivalent' => sub {
    my @items = $sports->items('/sports');
    is_deeply [map { $_->{name} } @items], [sort map { $_->{name} } @items];
    is_deeply [sort keys %{ $items[0] }], [qw(category id met name)];
    my ($run) = grep { $_->{name} eq 'Running' } @items;
    is $run->{met}, 9.8;
};

subtest 'one sport has a strong ETag, and If-None-Match gives 304 until it changes' => sub {
    my $path = $sports->post('/sports', sport(), @editor)->{headers}{location};
    my $a = $sports->get($path);
    like $a->{headers}{etag}, qr/^"[0-9a-f]{32}"$/;
    is $sports->get($path, none_match => $a->{headers}{etag})->{status}, 304;
    is $sports->put($path, sport(met => 8), @editor)->{json}{met}, 8;
    is $sports->get($path, none_match => $a->{headers}{etag})->{status}, 200;
};

subtest 'what is wrong with a body is told by pointers' => sub {
    my $a = $sports->post('/sports', { name => 'x', met => 31, kind => 1 }, @editor);
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}], [qw(/category /kind /met)];
};

subtest 'only an editor writes' => sub {
    my $path = $sports->post('/sports', sport(name => 'Curling'), @editor)->{headers}{location};
    for ([POST => '/sports', sport()], [PUT => $path, sport()], [DELETE => $path, undef]) {
        is $sports->call(@$_, user => $editor[1], roles => 'user coach')->{status}, 403, $_->[0];
        is $sports->call(@$_)->{status}, 401, "$_->[0] without a user";
    }
    is $sports->get($path)->{json}{retired_at}, undef;
};

subtest 'the same Idempotency-Key makes one sport' => sub {
    my $a = $sports->post('/sports', sport(name => 'Once'), @editor, key => 's1');
    is $a->{status}, 201;
    is $sports->post('/sports', sport(name => 'Once'), @editor, key => 's1')->{body}, $a->{body};
    is $sports->post('/sports', sport(name => 'Twice'), @editor, key => 's1')->{json}{type},
        'urn:punit:key-reused';
    is scalar(grep { $_->{name} =~ /Once|Twice/ } $sports->items('/sports')), 1;
};

subtest 'a retired sport leaves the list, keeps its address, and a PUT brings it back' => sub {
    my $path = $sports->post('/sports', sport(name => 'Tug of war'), @editor)->{headers}{location};
    is $sports->delete($path, @editor)->{status}, 204 for 1 .. 2;
    ok !grep { $_->{name} eq 'Tug of war' } $sports->items('/sports');
    ok $sports->get($path)->{json}{retired_at};
    $sports->put($path, sport(name => 'Tug of war'), @editor);
    ok grep { $_->{name} eq 'Tug of war' } $sports->items('/sports');
};

subtest 'a sport of another unit is changed there: 421 with its author' => sub {
    my $id = 'a0000000-0000-4000-8000-000000000001';
    $db->do('set session_replication_role = replica');
    $db->do(
        q{insert into sports.sport (origin_unit, id, name, category, met)
            values ('us', ?, 'Baseball', 'ball', 5)},
        undef, $id
    );
    $db->do('set session_replication_role = origin');
    for (['PUT', sport()], ['DELETE', undef]) {
        my $a = $sports->call($_->[0], "/sports/$id", $_->[1], @editor);
        is $a->{status}, 421, $_->[0];
        is $a->{headers}{'punit-author'}, 'us';
        is $a->{body}, '';
    }
    is $sports->get("/sports/$id")->{json}{name}, 'Baseball';
};

subtest 'unknown ids are 404, unknown methods 405' => sub {
    my $path = '/sports/00000000-0000-4000-8000-000000000000';
    is $sports->get($path)->{status}, 404;
    is $sports->put($path, sport(), @editor)->{status}, 404;
    is $sports->delete($path, @editor)->{status}, 404;
    my $a = $sports->call('PATCH', '/sports', {}, @editor);
    is $a->{status}, 405;
    like $a->{headers}{allow}, qr/^GET, HEAD, POST/;
};

done_testing;
