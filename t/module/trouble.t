# What goes wrong: errors of nginx as problems, odd requests, good and bad tokens mixed, clients
# that go away.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;
use Punit::Wait qw(patience wait_until);

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->hs256('eu-1');
$keys->hs256('us-1');
my $limit = patience(1);    # s that NGINX waits for the worker
my $slow = $limit + 1;
my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    sleep $slow if $req->{uri} =~ /slow/;
    return if $req->{uri} =~ /dies/;
    return [200, ['X-Accel-Redirect' => '/user/secret'], ''] if $req->{uri} eq '/accel';
    return [200, ['X-Accel-Redirect' => '/user/secret', 'X-Accel-Limit-Rate' => 1], '']
        if $req->{uri} =~ /accel/;
    return [404, ['Content-Type' => 'application/problem+json'], '{"type":"urn:punit:own"}']
        if $req->{uri} =~ /own404/;
    return [502, ['Content-Type' => 'text/html'], 'worker 502'] if $req->{uri} =~ /own502/;
    return [200, [], ($req->{headers}{'x-user'} // '') . " $req->{method} " . length $req->{body}];
});
my $closed = $n->foreign('closed');

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_token_check off;
    punit_token bearer cookie:t header:X-Token;
    limit_req_zone \$punit_user zone=users:1m rate=1r/m;
    client_max_body_size 2k;
    large_client_header_buffers 4 16k;
    underscores_in_headers on;
    upstream us { server 127.0.0.1:@{[$worker->port]}; keepalive 2; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        error_page 418 /page.html;
        location / { punit_scope public; }
        location /user/ { punit_scope user; }
        location /closed/ { punit_scope public; punit_local \@closed; }
        location /limited/ { punit_scope public; limit_except GET { deny all; } }
        location /split/ { punit_scope user; limit_except GET { allow all; } }
        location /if/ { punit_scope user; if (\$arg_a) { set \$b 1; } }
        location /page/ { punit_scope user; error_page 401 /page.html; }
        location = /page.html { punit_scope public; punit_local \@page; }
        location /redirected/ { punit_scope public; punit_local \@redirected; }
        location /rare/ { punit_scope user; limit_req zone=users; }
        location /static/ { punit_scope off; return 404; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_read_timeout ${limit}s;
            proxy_set_header X-User \$punit_user;
        }
        location \@forward { proxy_pass http://\$punit_owner; proxy_set_header X-User \$punit_user;
            proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate; }
        location \@closed { proxy_pass http://127.0.0.1:$closed; }
        location \@page { return 200 page; }
        location \@redirected { proxy_pass http://127.0.0.1:@{[$worker->port]};
            error_page 404 = /user/x; proxy_intercept_errors on; }
    }
EOF_CONF
$n->start;
my ($pid) = $n->pids;

sub by_number { return $main::a <=> $main::b }

sub ask {
    my ($method, $path, %o) = @_;
    return $n->ask($method, $path, %o);
}

my $a = ask(POST => '/x', body => 'x' x 3000);
is($a->{status}, 413, 'a body too large');
is($a->{json}{type}, 'urn:punit:too-large', 'is a problem') or diag $a->{body};
is($a->{headers}{'content-type'}, 'application/problem+json', 'by its type');
is(length $a->{body}, $a->{headers}{'content-length'}, 'of its length');
is($a->{headers}{'punit-unit'}, 'eu', 'from this unit');
like($a->{headers}{'x-request-id'}, qr/^\w{32}$/, 'with a request id');
my $chunk = 'x' x 1500;
$a = ask(POST => '/x', headers => ['Transfer-Encoding' => 'chunked'], no_length => 1,
    body => "5dc\r\n$chunk\r\n5dc\r\n$chunk\r\n0\r\n\r\n");
is($a->{status}, 413, 'also when its length is not known before');
is($a->{json}{type}, 'urn:punit:too-large', 'is a problem');
$a = ask(GET => '/closed/x');
is("$a->{status} " . ($a->{json}{type} // ''), '502 urn:punit:bad-gateway',
    'a worker that is not there');
is($a->{headers}{'retry-after'}, 1, 'may be asked again');
$a = ask(GET => '/slow');
is("$a->{status} " . ($a->{json}{type} // ''), '504 urn:punit:gateway-timeout',
    'a worker that is too slow');
wait_until(sub { ask(GET => '/own404')->{status} == 404 }) or die 'the worker is still slow';
$a = ask(GET => '/dies');
is("$a->{status} " . ($a->{json}{type} // ''), '502 urn:punit:bad-gateway', 'a worker that dies');
$a = ask(GET => '/own404');
is($a->{body}, '{"type":"urn:punit:own"}', "a worker's own problem passes");
is(ask(GET => '/own502')->{body}, 'worker 502', "a worker's own error, too");
is(ask(GET => '/static/x')->{headers}{'punit-unit'}, undef,
    'outside of punit locations nothing changes');
like(ask(GET => '/static/x')->{body}, qr/<html>/, 'also in errors');
$a = ask(HEAD => '/closed/x');
is("$a->{status} " . length $a->{body}, '502 0', 'HEAD gets a problem without the body');
is(ask(POST => '/limited/x')->{status}, 403, 'limit_except is obeyed');
my $known = $keys->token(sub => 'u-0');
for my $method (qw(GET POST DELETE)) {
    is(ask($method => '/split/x')->{status}, 401,
        "limit_except, which replaces the content handler, opens nothing to $method");
    is(ask($method => '/split/x', token => $known)->{body}, "u-0 $method 0",
        'nor does it keep anybody out');
}
is(ask(GET => '/if/x?a=1')->{status}, 401, '"if" opens nothing');
is(ask(GET => '/if/x?a=1', token => $known)->{body}, 'u-0 GET 0', 'nor does it keep anybody out');
is(ask(GET => '/page/x')->{body}, 'page', 'error_page may replace a refusal');
is(ask(GET => '/page/x', headers => [Authorization => 'Bearer x'])->{body}, 'page', 'any of them');

# nothing that was found for one location opens another
is(ask(GET => '/accel')->{status}, 401,
    'X-Accel-Redirect from a public location into one of users: judged anew');
is(ask(GET => '/redirected/own404')->{status}, 401, 'error_page, too');
my $us = $keys->token(unit => 'us');
$a = ask(GET => '/user/accel', token => $us);
is("$a->{status} $a->{headers}{'punit-route'}", '200 forward',
    "a peer's X-Accel-Redirect is ignored");

# tokens from elsewhere
my $token = $keys->token(sub => 'u-1');
is(ask(GET => '/user/x', headers => [Cookie => "a=b; t=$token"])->{body}, 'u-1 GET 0',
    'a token in a cookie');
is(ask(GET => '/user/x', headers => ['X-Token' => $token])->{body}, 'u-1 GET 0',
    'a token in a header');
is(ask(GET => '/user/x', headers => [Authorization => "bearer   $token"])->{body}, 'u-1 GET 0',
    'the scheme in any case');
is(ask(GET => '/user/x', headers => [Authorization => 'Basic eDp5', 'X-Token' => $token])->{body},
    'u-1 GET 0', 'another scheme is no token');
is(ask(GET => '/user/x', headers => [Authorization => "Bearer$token"])->{status}, 401,
    'nor is one without a space');
is(ask(GET => '/user/x', headers => [Authorization => "Bearer $token x"])->{status}, 401,
    'nor one with more behind');

# Each user has a limit of its own, and what nginx answers is a problem document.
my $other = $keys->token(sub => 'u-2');
is(ask(GET => '/rare/x', token => $token)->{body}, 'u-1 GET 0',
    '$punit_user is known to limit_req');
$a = ask(GET => '/rare/x', token => $token);
is("$a->{status} $a->{json}{type} $a->{headers}{'retry-after'}", '503 urn:punit:unavailable 1',
    'a client that asks too often gets a problem');
is(ask(GET => '/rare/x', token => $other)->{body}, 'u-2 GET 0', 'others do not');

# headers of clients: any number, any place, any length
$worker->forget;
my @headers =
    map { (($_ % 3 == 0 ? "Punit-X$_" : $_ % 3 == 1 ? "punit_y$_" : "X-$_"), $_) } 1 .. 90;
ask(GET => '/x', headers => \@headers);
my ($req) = $worker->requests;
is(
    join(
        ',',
        sort by_number map { /^x-(\d+)$/ ? $1 : /^punit/ ? "bad$_" : () } keys %{ $req->{headers} }
    ),
    join(',', grep { $_ % 3 == 2 } 1 .. 90),
    'of many headers exactly the Punit ones are dropped'
);
for my $names ([map {"Punit-$_"} 1 .. 40], ['Punit-A'], ['Punit-A', 'X-B'], ['X-B', 'Punit-A'],
    [(map {"Punit-$_"} 1 .. 19), 'X-B', map {"Punit-Z$_"} 1 .. 25])
{
    $worker->forget;
    is(ask(GET => '/x', headers => [map { ($_ => 1) } @$names])->{status}, 200,
        'served: ' . @$names . " headers, first $names->[0]");
    ($req) = $worker->requests;
    is(join(',', grep {/^punit/} keys %{ $req->{headers} }), '', 'and none gets through');
}
my $bad = 0;
for my $length (0 .. 64) {
    $bad++ if ask(GET => '/user/x', headers => [Authorization => 'x' x $length])->{status} != 401;
    $bad++
        if ask(GET => '/user/x', headers => [Authorization => substr "Bearer $token", 0, $length])
        ->{status} != 401;
}
for my $length (1000, 15_000, 16_300) {
    $bad++
        if ask(GET => '/user/x', headers => [Authorization => 'Bearer ' . 'x' x $length])->{status}
        != 401;
}
is($bad, 0, 'no length of Authorization is anything but 401');

# headers up to nginx's limits (a line of 16k, four of them), and beyond, where nginx says 400
my %seen;
for my $name ('Authorization', 'Cookie', 'X-Token', 'CDN-Loop', 'Punit-Unit', 'Punit-From',
    'X-Request-Id', 'Origin', 'If-None-Match')
{
    my $start = { Authorization => 'Bearer ', Cookie => 't=' }->{$name} // '';
    for my $length (16_384 - length("$name: \r\n") - 3 .. 16_384 - length("$name: \r\n") + 3) {
        for my $text ($start . 'x' x ($length - length $start), substr "$start$us" . ',' x $length,
            0, $length)
        {
            $seen{ ask(GET => '/user/x', headers => [$name => $text])->{status} }++;
        }
    }
}
is(join(',', sort keys %seen), '400,401',
    'headers as long as they may be are refused by us, longer ones by nginx');
%seen = ();
for my $count (1 .. 6) {
    $seen{
        ask(
            GET => '/user/x',
            headers => [map { ("X-Token$_" => 'y' x 15_000, "Punit-$_" => 'z' x 900) } 1 .. $count]
        )->{status} }++;
}
is(join(',', sort keys %seen), '400,401', 'as many as they may be, too');
is(join(',', $n->pids), $pid, 'by the worker process that was started');

# good and bad tokens in turn, eight at once, for one worker process
my %token = map { $_ => $keys->token(sub => "user-$_", unit => $_ % 2 ? 'eu' : 'us') } 1 .. 5;
my @bad = (undef, 'x', map({ $keys->spoiled($_) } values %token), $keys->token(exp => time - 100),
    $keys->token(kid => 'us-1', unit => 'eu'));
my @clients = map { Punit::Client->new($n->port('http')) } 1 .. 8;
my ($asked, $wrong) = (0, 0);
while ($asked < 10_000) {
    my @expected;
    for my $c (@clients) {
        my $u = $asked++ % 2 ? 1 + int rand 5 : 0;
        my $t = $u ? $token{$u} : $bad[rand @bad];
        $c->send(GET => '/user/x', headers => [defined $t ? (Authorization => "Bearer $t") : ()]);
        push @expected, $u ? "200 user-$u GET 0" : '401 ';
    }
    for my $c (@clients) {
        my $r = $c->receive('GET');
        $wrong++ if "$r->{status} " . ($r->{status} == 200 ? $r->{body} : '') ne shift @expected;
    }
}
is($wrong, 0, "$asked times good and bad tokens in turn: no wrong verdict");

# clients that go away
for my $i (1 .. 20) {
    Punit::Client->new($n->port('http'))->send(GET => $i % 2 ? '/slow' : '/x', headers => [])
        ->close;
}
sleep 0.2;
is(join(',', $n->pids), $pid, 'the worker process is the one that was started');
is($n->stop, '', 'the log is clean');
done_testing;
