# Reference data from memcached: hits, misses, generations, ETags, and memcached away.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep);

use Punit::Backend;
use Punit::Client;
use Punit::Grid;
use Punit::Nginx;
use Punit::Token;
use Punit::Tries;
use Punit::Wait qw(wait_until);

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1);

my $socket = $n->dir . '/grid.sock';
my $grid = Punit::Grid->new($socket);
my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    sleep 0.4 if $req->{uri} =~ /slow/;
    return [200, ['Content-Type' => 'text/plain', ETag => '"w"'],
        'worker ' . ($req->{headers}{'x-key'} // '')];
});

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_token_check off;
    upstream us { server 127.0.0.1:1; }
    upstream grid { server unix:$socket; }
    punit_grid grid;
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@local;
        location / { punit_scope reference; punit_grid_args level q; }
        location /off/ { punit_scope reference; punit_grid off; }
        location /fresh/ { punit_scope reference; punit_grid_stale off; }
        location /user/ { punit_scope user; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header X-Key \$punit_grid_key;
            proxy_set_header Connection close;
        }
    }
EOF_CONF
$n->start;

my $token = $keys->token(unit => 'us');

sub ask {
    my ($path, @headers) = @_;
    return request('GET', $path, @headers);
}

sub request {
    my ($method, $path, @headers) = @_;
    return $n->ask($method, $path, token => $token, headers => \@headers);
}

my $a = ask('/sports');
is($a->{body}, 'worker ' . $grid->key('sports', '/sports'),
    'a miss goes to the worker with the key to fill');
is($a->{headers}{'punit-route'}, 'local', 'by the route local');

$grid->generation('sports', 4294967296 * 3 + 7);
$grid->put($grid->key('sports', '/sports'), 7, 'abc', '{"items":[]}');
$a = ask('/sports');
is($a->{body}, '{"items":[]}', 'a document of the current generation is served from the grid');
is($a->{headers}{'punit-route'}, 'grid', 'by the route grid');
is($a->{headers}{'punit-unit'}, 'eu', 'by this unit, though the token is of another');
is($a->{headers}{'content-type'}, 'application/json', 'with its type');
is($a->{headers}{etag}, '"abc"', 'and its ETag');
is($a->{headers}{'content-length'}, 12, 'and its length');
is(ask('/sports', 'If-None-Match' => '"abc"')->{status}, 304, 'If-None-Match is answered with 304');
is(ask('/sports', 'If-None-Match' => '"x", W/"abc"')->{status}, 304, 'also from a list');
is(ask('/sports', 'If-None-Match' => '"abd"')->{status}, 200, 'another ETag with 200');
my $c = Punit::Client->new($n->port('http'));
$a = $c->request(HEAD => '/sports', token => $token);
is("$a->{status} $a->{headers}{'punit-route'} $a->{headers}{'content-length'}", '200 grid 12',
    'HEAD, too, without the body');
is($c->request(GET => '/sports', token => $token)->{body}, '{"items":[]}',
    'on a connection that stays in step');
is($n->ask('GET', '/sports')->{status}, 401, 'not without a token');
is(request('POST', '/sports')->{headers}{'punit-route'}, 'local', 'other methods go to the worker');

$grid->generation('sports', 8);
is(ask('/sports')->{headers}{'punit-route'}, 'local', 'a document of another generation is a miss');
$grid->put($grid->key('sports', '/sports'), 8, 'abc', 'x' x 300_000);
is(length ask('/sports')->{body}, 300_000, 'large documents come whole');
$grid->generation('sports', 4294967296);
$grid->put($grid->key('sports', '/sports'), 1, 'abc', 'zero');
is(ask('/sports')->{body}, 'zero', 'flags 0 are not used: 1 stands for it');
$grid->command('delete punit:gen:sports');
sleep 0.03;
is(ask('/sports')->{headers}{'punit-route'}, 'local', 'without a generation everything is a miss');

$grid->generation('training', 1);
$grid->put($grid->key('training', '/training/x', 'level=a%20b', 'q=c'), 1, 'e', 'doc');
is(ask('/training/x?level=a%20b&q=c')->{body}, 'doc', 'listed arguments are part of the key');
is(ask('/training/x?q=c&level=a%20b')->{body}, 'doc', 'in the order of the list');
for my $args ('level=a%20b&q=c&z=1', 'level=a%20b&q=c&q=c', 'level', 'q=c&Level=1') {
    is(ask("/training/x?$args")->{body}, 'worker ', "not kept: $args") if $args ne 'level';
    is(ask("/training/x?$args")->{headers}{'punit-route'}, 'local', "not asked for: $args");
}
is(ask('/training/x%0alevel=b')->{body}, 'worker ', 'nor a path with a line end');
is(ask('/off/x')->{headers}{'punit-route'}, 'local', 'punit_grid off');
$grid->command('set ' . $grid->key('training', '/training/y') . ' 1 0 3', 'bad');
is(ask('/training/y')->{headers}{'punit-route'}, 'local', 'what is no document goes to the worker');
like($n->log_text, qr/is not a document/, 'and is logged');
$grid->command('set punit:gen:bad 0 0 3', 'x12');
is(ask('/bad/y')->{status}, 200, 'nor does a generation that is no number harm');

# a generation is kept for 10 ms, but never against what a client has seen
$grid->generation('kept', 1);
$grid->put($grid->key('kept', '/kept/x'), 1, 'old', 'before');
is(ask('/kept/x')->{body}, 'before', 'a hit, after which the generation is kept');
$grid->raise('kept', 2);
$grid->put($grid->key('kept', '/kept/z'), 2, 'new', 'after');
is(ask('/kept/z')->{body}, 'after',
    'a document that is newer than the kept generation is a hit at once');
$grid->put($grid->key('kept', '/kept/y'), 2, 'old', 'before');
my $fresh = 0;
for my $gen (3 .. 42) {
    ask('/kept/y');
    $grid->raise('kept', $gen);    # as a worker does before it answers to a change
    request('POST', '/kept/y');
    $fresh++ if ask('/kept/y')->{headers}{'punit-route'} eq 'local';
    $grid->put($grid->key('kept', '/kept/y'), $gen, 'old', 'before');
}
is($fresh, 40, 'a client that had an answer of the worker is never told of the time before it');
$grid->generation('kept', 50);
$grid->put($grid->key('kept', '/kept/x'), 50, 'old', 'before');
ask('/kept/x');
$grid->raise('kept', 51);
ok(wait_until(sub { ask('/kept/x')->{headers}{'punit-route'} ne 'grid' }, 5),
    'and everybody learns of a change soon');

# after a change one refills, others get the previous document meanwhile
my $gen = 0;
some_subtest 'while one request refills' => sub {
    $grid->generation('slow', ++$gen);
    $grid->put($grid->key('slow', '/slow/x'), $gen, 'old', 'previous');
    is(ask('/slow/x')->{body}, 'previous', 'a hit');
    $grid->generation('slow', ++$gen);
    my $first = Punit::Client->new($n->port('http'))->send(GET => '/slow/x', token => $token);
    sleep 0.05;
    my $a;
    my $seconds = took(sub { $a = ask('/slow/x') });
    is($a->{body}, 'previous', 'while one request refills, others get the previous document');
    cmp_ok($seconds, '<', 0.15, 'at once');
    is(ask('/slow/x', 'If-None-Match' => $_)->{status}, 304, "and are told so if they have it: $_")
        for '"old"', 'W/"old"';
    my @others = map {
        [
            $_,
            Punit::Client->new($n->port('http'))->send(
                GET => '/slow/x',
                headers => [Authorization => "Bearer $token", 'If-None-Match' => $_])]
    } '"new"', '"old", "new"', '"new", W/"old"', '"older"';
    like($_->[1]->receive('GET')->{body}, qr/^worker/,
        "but not a client that has had another one: $_->[0]")
        for @others;
    like($first->receive('GET')->{body}, qr/^worker/, 'the first one got what the worker said');
};
my $first;
$grid->generation('slow', ++$gen);
$grid->put($grid->key('slow', '/slow/x'), $gen, 'third', 'third');
$grid->put($grid->key('slow', '/slow/y'), $gen, 'third', 'third');
is(ask('/slow/x')->{body}, 'third', 'a hit');
$grid->raise('slow', ++$gen);    # as a worker does before it answers to a change
request('POST', '/slow/y');
$first = Punit::Client->new($n->port('http'))->send(GET => '/slow/x', token => $token);
sleep 0.05;
isnt(ask('/slow/x')->{body}, 'third',
    'nor anybody once a worker has answered since: it may have been of something newer');
$first->receive('GET');
$grid->generation('fresh', 2);
$grid->put($grid->key('fresh', '/fresh/slow'), 1, 'old', 'previous');
$first = Punit::Client->new($n->port('http'))->send(GET => '/fresh/slow', token => $token);
like(ask('/fresh/slow')->{body}, qr/^worker/, 'punit_grid_stale off: nobody does');
$first->receive('GET');

# memcached goes and comes
$grid->stop;
sub served {
    my ($times, $name) = @_;
    return sub {
        took(sub { is(ask('/sports')->{status}, 200, $name) for 1 .. $times })
    };
}
ok(once_within(2, served(21, 'memcached down: served without it')), 'without waiting');
$grid->start;
$grid->generation('sports', 5);
$grid->put($grid->key('sports', '/sports'), 5, 'abc', 'back');
ok(wait_until(sub { ($a = ask('/sports'))->{headers}{'punit-route'} eq 'grid' }),
    'and with it again once it is back');
is($a->{body}, 'back', 'which holds what was written since');

# memcached that hangs
$grid->signal('STOP');
ok(once_within(2, served(1, 'memcached hangs: served without it')), 'after its timeout');
ok(once_within(1, served(5, 'again')), 'which is not waited for again');

# a client that goes away while the grid is asked
for (1 .. 10) {
    my $gone = Punit::Client->new($n->port('http'))->send(GET => '/sports', token => $token);
    $gone->close;
    sleep 0.05;
}
$grid->signal('CONT');
ok(wait_until(sub { ask('/sports')->{status} == 200 }),
    'clients that went away meanwhile do no harm');

is($n->stop, '', 'the log is clean');
done_testing;
