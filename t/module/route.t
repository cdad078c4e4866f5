# The way of a request: which unit, by which route, and what the answer says of it.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1 zz-1);

my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    # A user who has a copy here, and ap is known to be the owner.
    return [421, ['Punit-Owner' => 'ap; epoch=1']]
        if $req->{uri} =~ /copy/ && $req->{headers}{'x-route'} ne 'stale';
    return [
        200,
        [
            'Punit-Owner' => 'eu; epoch=3', 'Content-Type' => 'application/json',
            'Punit-Unit' => 'lies'
        ],
        '{"at":"eu"}'
    ];
});
my $us = Punit::Backend->new(
    sub { [
        200,
        [
            'Punit-Owner' => 'us; epoch=1', 'Punit-Unit' => 'mars', 'Punit-Route' => 'local',
            'Punit-Author' => 'us'
        ],
        'us'
    ] });
my $ap = Punit::Backend->new(sub { [200, [], 'ap'] });

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_peer ap down;
    punit_keys keys;
    punit_issuer punit;
    punit_audience punit;
    punit_token_check off;
    upstream us { server 127.0.0.1:@{[$us->port]}; keepalive 4; }
    upstream ap { server 127.0.0.1:@{[$ap->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        punit_unit_from claim:unit header:Punit-Unit;
        location /public/ { punit_scope public; }
        location /reference/ { punit_scope reference; }
        location /optional/ { punit_scope reference optional; }
        location /user/ { punit_scope user; }
        location /stale/ { punit_scope user; punit_stale off; }
        location /coach/ { punit_scope user; punit_require roles coach editor; }
        location /satisfy/ { punit_scope user; satisfy any; allow all; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header X-User \$punit_user;
            proxy_set_header X-Route \$punit_route;
            proxy_set_header X-Epoch \$punit_epoch;
            proxy_set_header X-Roles \$punit_roles;
            proxy_set_header X-Sid \$punit_claim_sid;
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 = \@follow;
        }
        location \@follow { punit_scope user; }
        location \@forward {
            proxy_pass http://\$punit_owner;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$punit_owner;
            proxy_set_header Punit-From \$punit_unit;
            proxy_set_header Punit-Owner \$punit_owner_hint;
            proxy_set_header CDN-Loop \$punit_cdn_loop;
        }
    }
EOF_CONF
$n->start;

sub ask {
    my ($method, $path, $token, @headers) = @_;
    return $n->ask(
        $method, $path,
        token => $token, headers => \@headers
    );
}

my $mine = $keys->token(unit => 'eu', epoch => 3);
my $a = ask(GET => '/user/x', $mine);
is($a->{status}, 200, 'a user owned here is served here');
is($a->{headers}{'punit-route'}, 'local', 'and the answer says local');
is($a->{headers}{'punit-unit'}, 'eu', 'and names this unit, whatever the worker says');
is($a->{headers}{'punit-owner'}, undef, 'Punit-Owner does not leave on the public side');
like($a->{headers}{'x-request-id'}, qr/^[0-9a-f]{32}$/, 'every answer carries X-Request-Id');
my ($req) = $worker->requests;
is($req->{headers}{'x-epoch'}, 3, 'the worker is told the epoch that is known of this unit');
is($req->{headers}{'x-roles'}, 'user', 'and the roles');
like($req->{headers}{'x-sid'}, qr/^[0-9a-f-]{36}$/, '$punit_claim_NAME gives a claim');

$a = ask(GET => '/user/x', $keys->token(unit => 'us', epoch => 1));
is($a->{status}, 200, 'a user owned by a peer is forwarded');
is($a->{body}, 'us', 'to that peer');
is($a->{headers}{'punit-route'}, 'forward', 'and the answer says forward');
is($a->{headers}{'punit-unit'}, 'us', 'and names the unit that answered, not what it calls itself');
is($a->{headers}{'punit-author'}, undef, 'Punit-Author does not leave on the public side');
($req) = $us->requests;
is($req->{headers}{'punit-owner'}, 'us; epoch=1', 'the peer is told what this unit believes');
is($req->{headers}{'cdn-loop'}, 'punit-eu', 'and CDN-Loop names this unit');

my $down = $keys->token(unit => 'eu', kid => 'eu-1', sub => Punit::Token::uuid());
$a = ask(POST => '/user/copy', $keys->token(unit => 'zz', epoch => 1), 'Punit-Unit' => 'ap');
is($a->{status}, 503, 'a write for a user of a peer marked down is 503');
is($a->{headers}{'retry-after'}, 10, 'with Retry-After');
is($a->{json}{type}, 'urn:punit:unit-down', 'and a problem that says why');
is($a->{headers}{'content-type'}, 'application/problem+json', 'as application/problem+json');
is($a->{json}{status}, 503, 'with its status');

$worker->forget;
$a = ask(GET => '/user/copy', $keys->token(unit => 'zz'), 'Punit-Unit' => 'ap');
is($a->{status}, 200, 'a read of such a user is served from the copy');
is($a->{headers}{'punit-route'}, 'stale', 'by the route stale');
(undef, $req) = $worker->requests;
is($req->{headers}{'x-route'}, 'stale', 'which the worker is told');
is($req->{headers}{'x-epoch'}, undef, 'without an epoch');
is(ask(GET => '/stale/copy', $keys->token(unit => 'zz'), 'Punit-Unit' => 'ap')->{status}, 503,
    'but not with punit_stale off');

is(ask(GET => '/user/x', $keys->token(unit => 'zz'), 'Punit-Unit' => 'us')->{body}, 'us',
    'the hint is asked when the claim names no unit we know');
is(ask(GET => '/user/x', $keys->token(unit => 'zz'))->{headers}{'punit-route'}, 'local',
    'without a hint, this unit is asked');

is(ask(GET => '/public/x')->{status}, 200, 'public needs no token');
is(ask(GET => '/public/x', 'broken')->{status}, 200, 'and ignores a broken one');
is(ask(GET => '/public/x', $keys->token(unit => 'us'))->{headers}{'punit-route'}, 'local',
    'public is local for every client');
is(ask(GET => '/reference/x', $keys->token(unit => 'us'))->{headers}{'punit-route'}, 'local',
    'reference is local for every client');
is(ask(POST => '/reference/x', $keys->token(unit => 'us'))->{headers}{'punit-route'}, 'local',
    'also other methods');
is(ask(GET => '/reference/x')->{status}, 401, 'reference needs a token');
is(ask(GET => '/optional/x')->{status}, 200, 'unless it is optional');
is(ask(GET => '/optional/x', 'broken')->{status}, 401, 'a broken one is refused there, too');

$a = ask(GET => '/user/x');
is($a->{status}, 401, 'user without a token is 401');
is($a->{headers}{'www-authenticate'}, 'Bearer realm="punit"', 'with a challenge without error');
is($a->{headers}{'punit-route'}, undef, 'and no route');
is($a->{headers}{'punit-unit'}, 'eu', 'from this unit');
$a = ask(GET => '/user/x', $keys->spoiled($mine));
is($a->{status}, 401, 'a token with another signature is 401');
is($a->{headers}{'www-authenticate'},
    'Bearer realm="punit", error="invalid_token", error_description="signature"',
    'invalid_token, RFC 6750');
is($a->{json}{type}, 'urn:punit:invalid-token', 'and a problem');
is(ask(GET => '/user/x', $keys->token(exp => time - 5))->{json}{detail}, 'expired',
    'an expired one is 401');
is(ask(GET => '/user/x', $keys->token(aud => 'x'))->{status}, 401, 'another audience is 401');
is(ask(GET => '/user/x', $keys->token(iss => 'x'))->{status}, 401, 'another issuer is 401');
is(ask(GET => '/user/x', $keys->token(unit => 'us', kid => 'eu-1'))->{status}, 401,
    'a key of another unit than the claim is 401');
$keys->es256('eu-9', unpublished => 1);
is(ask(GET => '/user/x', $keys->token(kid => 'eu-9'))->{status}, 401, 'a key nobody knows is 401');
is(ask(GET => '/satisfy/x')->{status}, 401, '"satisfy any" does not step round');
$a = ask(GET => '/coach/x', $mine);
is($a->{status}, 403, 'punit_require: 403 without the claim');
like($a->{headers}{'www-authenticate'}, qr/insufficient_scope/, 'insufficient_scope, RFC 6750');
is(ask(GET => '/coach/x', $keys->token(roles => ['user', 'coach']))->{status}, 200,
    'and 200 with it');

$a = ask(OPTIONS => '/user/x', undef, Origin => 'http://a',
    'Access-Control-Request-Method' => 'PATCH');
is($a->{status}, 204, 'OPTIONS needs no token');
is($a->{headers}{'access-control-allow-origin'}, '*', 'any origin may ask');
like($a->{headers}{'access-control-allow-methods'}, qr/PATCH/, 'with any method');
like($a->{headers}{'access-control-expose-headers'}, qr/Punit-Token/, 'Punit-Token is exposed');
$a = ask(GET => '/user/x', $mine, Origin => 'http://a');
like($a->{headers}{'access-control-expose-headers'}, qr/Punit-Token/, 'on the answer, too');

$worker->forget;
$a =
    ask(GET => '/user/x', $mine, 'Punit-From' => 'us', 'Punit-Client' => '1.2.3.4',
    'X-Other' => 'a', 'Punit-Unit' => 'us', 'punit-owner' => 'x', 'X-Last' => 'b',
    'Punit-Hops' => 1);
($req) = $worker->requests;
is(
    join(' ', sort grep {/^punit|^x-(?:other|last)/} keys %{ $req->{headers} }),
    'punit-unit x-last x-other',
    'Punit-* of clients is dropped but for the hint, and nothing else is'
);
is($a->{headers}{'punit-route'}, 'local', 'the hint does not outweigh the claim');

is(ask(GET => '/user/x', $mine, 'CDN-Loop' => 'other.net; a=1, punit-eu')->{status}, 508,
    'what has been here before is 508');
is(ask(GET => '/user/x', $mine, 'CDN-Loop' => 'other.net, punit-euro')->{status}, 200,
    'a longer name is another');

is($n->stop, '', 'the log is clean');
done_testing;
