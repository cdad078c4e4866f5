# punit_status: counters, peers and servers of the grid; marking a peer, and what outlives a
# restart.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep);

use IO::Socket::UNIX;

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Grid;
use Punit::Token;

my $n = Punit::Nginx->new(workers => 2);
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1);
# asked in place of a unit that is down, it says whose the user is
my $worker = Punit::Backend->new(
    sub {
        my ($req) = @_;
        return $req->{headers}{'x-why'} eq 'lost'
            ? [421, ['Punit-Owner' => 'us; epoch=1']]
            : [200]
    });
my $us = Punit::Backend->new(sub { [200] });
my $grid = $n->dir . '/grid.sock';
my $memcached = Punit::Grid->new($grid);
my $nobody = $n->foreign('nobody');    # a server of the grid that is not there

sub conf {
    my (%o) = @_;
    return <<"EOF_CONF";
    punit_zone z @{[$o{zone} // '1m']};
    punit_unit eu;
    punit_peer us @{[$o{us} // '']};
    punit_peer ap @{[$o{ap} // '']};
    @{[exists $o{state} ? $o{state} : 'punit_state state;']}
    punit_keys keys;
    punit_token_check off;
    @{[$o{upstreams} // "upstream grid { server unix:$grid; }"]}
    upstream us { server 127.0.0.1:@{[$us->port]}; }
    upstream ap { server 127.0.0.1:@{[$us->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]} reuseport;
        punit_local \@local;
        punit_forward \@forward;
        location / { punit_scope user; punit_stale off; }
        location /a/ { punit_scope reference optional; punit_grid grid; }
        location /b/ { punit_scope reference optional; punit_grid 127.0.0.1:$nobody; }
        location /punit/status { punit_status write=127.0.0.1; }
        location /readonly { punit_status; }
        location = /pid { return 200 \$pid; }
        location /elsewhere { punit_status write=192.0.2.0/24; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header X-Why \$punit_why;
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 = \@follow;
        }
        location \@follow { punit_scope user; }
        location \@forward { proxy_pass http://\$punit_owner; }
    }
EOF_CONF
}

sub ask {
    my ($method, $path, $body) = @_;
    return $n->ask($method, $path, body => $body);
}

sub user {
    my ($unit) = @_;
    return $n->ask('GET', '/x', token => $keys->token(unit => $unit))->{status};
}

sub peer {
    my ($id) = @_;
    my ($p) = grep { $_->{id} eq $id } @{ ask(GET => '/punit/status')->{json}{peers} };
    return $p
}

$n->http(conf())->start;
user('eu') for 1 .. 3;
user('us') for 1 .. 2;
user('zz');
ask(GET => '/x');
my $a = ask(GET => '/punit/status');
is($a->{status}, 200, 'the status is JSON');
is($a->{headers}{'content-type'}, 'application/json', 'by its type');
my $s = $a->{json};
is($s->{unit}, 'eu', 'of this unit');
is($s->{routes}{local}{requests}, 3, 'with the requests that went local');
is($s->{routes}{forward}{requests}, 2, 'and forward');
is($s->{routes}{refuse}{requests}, 2, 'and were refused');
my $sum = 0;
$sum += $_ for @{ $s->{routes}{local}{buckets} };
is($sum, 3, 'each in one bucket of the histogram');
is(scalar @{ $s->{routes}{local}{buckets} }, @{ $s->{bounds} } + 1, 'one more of them than bounds');
is($s->{verdicts}{ok}, 5, 'verdicts are counted') or diag explain $s->{verdicts};
is($s->{verdicts}{none}, 1, 'by kind');
is(peer('us')->{forwarded}, 2, 'requests are counted by peer');
is(peer('us')->{state}, 'up', 'peers have a state');
like(peer('us')->{since}, qr/^\d{10}$/, 'and since when');

$a = ask(GET => '/punit/status?format=prometheus');
like($a->{headers}{'content-type'}, qr{^text/plain; version=0\.0\.4}, 'Prometheus text');
like($a->{body}, qr/^punit_request_seconds_bucket\{unit="eu",route="local",le="\+Inf"\} 3$/m,
    'with the histogram');
like($a->{body}, qr/^punit_request_seconds_count\{unit="eu",route="forward"\} 2$/m,
    'and its count');
like($a->{body}, qr/^punit_peer_up\{unit="eu",peer="us"\} 1$/m, 'and the peers');
unlike($a->{body}, qr/^(?!#|[a-z_]+(?:\{[^}]*\})? [0-9.]+$).+/m, 'and nothing else in it');
is(ask(HEAD => '/punit/status')->{status}, 200, 'HEAD is answered');
for my $method (qw(GET POST PUT)) {
    my $cors =
        $n->ask($method, '/punit/status', body => '{}', headers => [Origin => 'http://a.example']);
    is_deeply([grep {/^access-control/} keys %{ $cors->{headers} }],
        [], "$method: $cors->{status} is not for pages of other origins");
}

sub server {
    my ($grid) = @_;
    my ($g) = grep { $_->{grid} eq $grid } @{ ask(GET => '/punit/status')->{json}{grids} };
    return $g
}

is(server('grid')->{asked}, 0, 'a server of a grid that nobody asked has no counts');
is(server('grid')->{state}, 'up', 'and is up');
my %client;    # a kept connection to each worker
for (1 .. 200) {
    my $c = Punit::Client->new($n->port('http'));
    $client{ $c->request(GET => '/pid')->{body} } //= $c;
    last if keys %client == 2;
}
is(scalar keys %client, 2, 'two workers answer');
for (values %client) {
    is($_->request(GET => '/a/x')->{status}, 200, 'each of them asks the grid');
    sleep 0.03;    # within the millisecond of a refill's end it would ask twice
}
is(server('grid')->{asked}, 4, 'keys are counted, of all workers: generation and document each');
is(server('grid')->{hits}, 0, 'none was there');
my $cache = IO::Socket::UNIX->new(Peer => $grid);
print $cache "set punit:gen:a 0 0 1\r\n7\r\n";
is(<$cache>, "STORED\r\n", 'then there is a generation');
ask(GET => '/a/x');
is(server('grid')->{hits}, 1, 'what is there is counted as well');
is(server('grid')->{failed}, 0, 'without a failure');
is(server('grid')->{server}, "unix:$grid", 'by the name that the configuration has');
ask(GET => '/b/x');
my $b = server("127.0.0.1:$nobody");
is($b->{state}, 'down', 'a server that cannot be reached is down');
is($b->{failed}, 1, 'after a failure');
like($b->{since}, qr/^\d{10}$/, 'and since when');
$a = ask(GET => '/punit/status?format=prometheus');
like($a->{body}, qr/^punit_grid_server_up\{unit="eu",grid="grid",server="unix:\Q$grid\E"\} 1$/m,
    'Prometheus text has the servers');
like($a->{body},
    qr/^punit_grid_server_up\{unit="eu",grid="127.0.0.1:$nobody",server="127.0.0.1:$nobody"\} 0$/m,
    'those that are down too');
like($a->{body},
    qr/^punit_grid_server_total\{unit="eu",grid="grid",server="[^"]+",what="hits"\} 1$/m,
    'and what is counted of them');
unlike($a->{body}, qr/^(?!#|[a-z_]+(?:\{[^}]*\})? [0-9.]+$).+/m, 'and nothing else');

$a = ask(PUT => '/punit/status/peers/us', '{"state":"down"}');
is($a->{status}, 200, 'a peer is marked down');
is($a->{json}{state}, 'down', 'and shown');
is(user('us'), 503, 'what is for it is 503, in every worker process') for 1 .. 4;
is(ask(PUT => '/punit/status/peers/us', '{"state":"up"}')->{status}, 200, 'and up again');
is(user('us'), 200, 'what is for it is forwarded');

is(ask(PUT => '/punit/status/peers/xx', '{"state":"down"}')->{status}, 404,
    'an unknown peer is 404');
is(ask(PUT => '/punit/status', '{"state":"down"}')->{status}, 404, 'no peer is 404');
is(ask(PUT => '/punit/status/peers/us', '{"state":')->{status}, 400, 'broken JSON is 400');
is(ask(PUT => '/punit/status/peers/us', '')->{status}, 400, 'no JSON is 400');
is(ask(PUT => '/punit/status/peers/us', '{"state":"gone"}')->{status}, 422, 'another state is 422');
is(ask(PUT => '/punit/status/peers/us', '{"state":"up","x":1}')->{status}, 422,
    'unknown members are 422');
is(ask(PUT => '/punit/status/peers/us', '[]')->{status}, 422, 'no object is 422');
is(ask(PUT => '/punit/status/peers/us', 'x' x 5000)->{status}, 413, 'a large body is 413');
$a = ask(POST => '/punit/status', '{}');
is($a->{status}, 405, 'another method is 405');
is($a->{headers}{allow}, 'GET, HEAD, PUT', 'with Allow');
$a = ask(PUT => '/elsewhere/peers/us', '{"state":"down"}');
is($a->{status}, 403, 'from elsewhere than write= says: 403');
is($a->{json}{type}, 'urn:punit:forbidden', 'as a problem');
is(ask(PUT => '/readonly/peers/us', '{"state":"down"}')->{status}, 403, 'without write=: 403');

ask(PUT => '/punit/status/peers/us', '{"state":"down"}');
my $since = peer('us')->{since};
my $local = ask(GET => '/punit/status')->{json}{routes}{local}{requests};
$n->http(conf())->reload;
is(peer('us')->{state}, 'down', 'a peer marked down stays so across a reload');
is(ask(GET => '/punit/status')->{json}{routes}{local}{requests}, $local,
    'which keeps the counters');
is(server('grid')->{asked}, 6, 'and those of the grid');
is(server("127.0.0.1:$nobody")->{state}, 'down', 'and what was seen of its servers');
$n->http(conf(zone => '2m'))->reload;
is(peer('us')->{state}, 'down', 'and across a change of the size of the zone');
is($n->stop, '', 'the log is clean');
$n->start;
is(peer('us')->{state}, 'down', 'and across a restart');
is(peer('us')->{since}, $since, 'since when it was');
is(peer('ap')->{state}, 'up', 'others are not');

$n->http(conf(zone => '2m', ap => 'down'))->reload;
is(peer('ap')->{state}, 'down', 'a new state in the configuration counts');
ask(PUT => '/punit/status/peers/ap', '{"state":"up"}');
$n->http(conf(zone => '2m', ap => 'down'))->reload;
is(peer('ap')->{state}, 'up', 'an old one does not overrule what was marked');

$n->http(conf(zone => '2m', state => 'punit_state nowhere/state;'))->reload;
$a = ask(PUT => '/punit/status/peers/ap', '{"state":"down"}');
is($a->{status}, 500, 'a state that cannot be written is an error');
is(peer('ap')->{state}, 'up', 'and not marked');
unlike($a->{body}, qr/nowhere/, 'without a path in the answer');

is($n->stop, '', 'the log is clean');
open my $f, '>', $n->dir . '/state' or die $!;
print $f "us down 1700000000\nmars down 1\nap up\n\x00\n";
close $f;
$n->http(conf(zone => '2m'))->start;
is(peer('us')->{since}, 1700000000, 'the state file is read');
like($n->log_text, qr/line 2 of punit_state ".*state" is ignored, expected "<peer> down <seconds>"/,
    'what it should not hold is ignored, with a word');
is($n->stop, '', 'the log is clean');

$n->http(conf(state => ''))->start;
ask(PUT => '/punit/status/peers/us', '{"state":"down"}');
$n->http(conf(state => '', zone => '2m'))->reload;
is(peer('us')->{state}, 'down',
    'without punit_state, too, a zone of another size takes over what was marked');
is($n->stop, '', 'the log is clean');
done_testing;
