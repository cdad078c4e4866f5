# Mistakes of configuration: nginx -t names the value in quotes and what was expected.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Nginx;
use Punit::Token;

my $n = Punit::Nginx->new;
my $dir = $n->dir;
my $keys = Punit::Token->new("$dir/keys");
$keys->es256('eu-1');
mkdir "$dir/none";

my $main =
    'punit_zone z 1m; punit_unit eu; punit_keys keys; upstream us { server 127.0.0.1:1;
        } upstream grid { server 127.0.0.1:2; }';
my $local = 'location @local { return 200; }';

sub server { return 'server { listen 127.0.0.1:' . $n->port('http') . "; @_ }" }

my $place = qr/in .*nginx.conf:\d+/;

sub refused {
    my ($http, $what, $name) = @_;
    my ($ok, $said) = $n->check($http);
    ok(!$ok, "refused: $name") or diag $said;
    like($said, $what, "and says why: $name");
    return;
}

sub accepted {
    my ($http, $name) = @_;
    my ($ok, $said) = $n->check($http);
    ok($ok, "accepted: $name") or diag $said;
    return;
}

# in http
my @http = (
    ['punit_zone z 1m; punit_zone y 1m;', qr/"punit_zone" directive is duplicate/],
    ['punit_zone z 4k;', qr/"4k" in "punit_zone", expected a size/],
    ['punit_zone z xx;', qr/"xx" in "punit_zone", expected a size/],
    ['punit_zone a/b 1m;', qr{"a/b" in "punit_zone", expected a name}],
    ['punit_unit EU;', qr/"EU" in "punit_unit", expected a unit's id, \[a-z0-9-\]\{1,32\}/],
    ['punit_unit ' . 'a' x 33 . ';', qr/expected a unit's id/],
    ['punit_unit eu; punit_unit eu;', qr/is duplicate/],
    ["$main punit_peer us maybe;", qr/"maybe" in "punit_peer", expected "up" or "down"/],
    ["$main punit_peer us; punit_peer us;", qr/duplicate punit_peer "us"/],
    ["$main punit_peer eu;", qr/punit_peer "eu" is this unit itself/],
    ["$main punit_peer ap;", qr/punit_peer "ap" has no upstream, expected a block "upstream ap/],
    [
        "$main upstream ap { server 127.0.0.1:1; server 127.0.0.1:2 backup; } punit_peer ap;",
        qr/backup server "127.0.0.1:2", expected none/
    ],
    ['punit_keys none;', qr/none/],
    ['punit_keys missing;', qr/missing/],
    ['punit_jwks missing;', qr/missing/],
    [
        'punit_unit eu; '
            . server('punit_local @l; location / { punit_scope user; } location @l {}'),
        qr/no "punit_zone".*expected "punit_zone NAME SIZE"/
    ],
    ['punit_zone z 1m; ' . server('location / {}'), qr/no "punit_unit"/],
    [
        'punit_zone z 1m; punit_unit eu; '
            . server('punit_local @l; location / { punit_scope user; } location @l {}'),
        qr/no keys.*expected "punit_keys DIR"/
    ],
    [server('location /s { punit_status; }'), qr/no "punit_zone"/],
    ['punit_leeway soon;', qr/"soon" in "punit_leeway", expected a time in whole seconds/],
    ['punit_uuid_claims a=b;', qr/"a=b" in "punit_uuid_claims", expected a claim's name/],
    ['punit_uuid_claims a; punit_uuid_claims b;', qr/"punit_uuid_claims" directive is duplicate/],
    ['punit_leeway 500ms;', qr/"500ms" in "punit_leeway", expected a time/],
    ['punit_token_recheck x;', qr/"x" in "punit_token_recheck", expected a time/],
    ['punit_token basic;', qr/"basic" in "punit_token", expected "bearer", "cookie:NAME"/],
    ['punit_token cookie:;', qr/"cookie:" in "punit_token"/],
    ['punit_token header:Punit-Token;', qr/"header:Punit-Token" in "punit_token"/],
    ['punit_unit_from bearer;', qr/"bearer" in "punit_unit_from", expected "claim:NAME"/],
    ['punit_unit_from header:Punit-Owner;', qr/"header:Punit-Owner" in "punit_unit_from"/],
    ['punit_grid_args a b a;', qr/"a" in "punit_grid_args", expected each argument once/],
    ['punit_grid_args a=b;', qr/"a=b" in "punit_grid_args", expected an argument's name/],
    [
        'punit_grid_args ' . join(' ', map {"a$_"} 1 .. 33) . ';',
        qr/"a33" in "punit_grid_args", expected at most 32/
    ],
    [
              "$main upstream many { "
            . join(' ', map {"server 127.0.0.1:$_;"} 1001 .. 1065)
            . ' } punit_grid many; '
            . server('punit_local @l; location / { punit_scope user; } location @l {}'),
        qr/65 servers of grids, expected at most 64/
    ],
    ['punit_grid nowhere;', qr/nowhere/],
    [
        'punit_grid_near 1k;',
        qr/"1k" in "punit_grid_near", expected a size of at least "64k", or "off"/
    ],
    ['punit_grid_near off; punit_grid_near 1m;', qr/"punit_grid_near" directive is duplicate/],
    ['punit_move /tmp/x;', qr{"/tmp/x" in "punit_move", expected "off" or "unix:/PATH"}],
    ['punit_move unix:/' . 'x' x 120 . ';', qr/expected "off" or "unix:/],
    ['punit_token_check on;', qr/"on" in "punit_token_check", expected "off" or "grid"/],
    ['punit_introspect introspect;', qr/"introspect" in "punit_introspect", expected the path/],
    ['punit_issuer a; punit_issuer b;', qr/"punit_issuer" directive is duplicate/],
    ['punit_audience a; punit_audience b;', qr/is duplicate/],
    ['punit_audience "";', qr/"" in "punit_audience", expected some text/],
    ['punit_scope user;', qr/"punit_scope" directive is not allowed here/],
    ['punit_stale off;', qr/"punit_stale" directive is not allowed here/],
);

# in server
my @server = (
    [
        'location / { punit_scope private; }',
        qr/"private" in "punit_scope", expected "off", "public"/
    ],
    [
        'location / { punit_scope user optional; }',
        qr/"optional" in "punit_scope", expected nothing or "reference optional"/
    ],
    ['location / { punit_scope user; punit_scope off; }', qr/is duplicate/],
    [
        'location / { punit_scope user; }',
        qr/"punit_scope" and no "punit_local", expected "punit_local \@NAME"/
    ],
    ['punit_local local;', qr/"local" in "punit_local", expected a named location "\@NAME"/],
    [
        'punit_local @nowhere; location / { punit_scope user; }',
        qr/no location "\@nowhere" for "punit_local", expected one in the same server $place/
    ],
    [
        "$local punit_local \@local; location / { punit_require roles; }",
        qr/"roles" in "punit_require", expected "off", or a claim and values/
    ],
    [
        "$local punit_local \@local; location / { punit_require roles a; punit_require roles b; }",
        qr/"roles" in "punit_require", expected each claim once/
    ],
    [
        "$local punit_local \@local; location / { punit_require off; punit_require roles b; }",
        qr/expected nothing beside "off"/
    ],
    ['punit_stale always;', qr/"always" in "punit_stale", expected "off", "down" or "unreachable"/],
    ['punit_peer_listener yes;', qr/"yes" in "punit_peer_listener", expected "on" or "off"/],
    [
        'punit_peer_listener on;',
        qr/without client certificates, expected "ssl_verify_client on" in the server $place/
    ],
    [
        'location / { punit_status read=all; }',
        qr/"read=all" in "punit_status", expected "write=CIDR"/
    ],
    [
        'location / { punit_status write=all; }',
        qr/"write=all" in "punit_status", expected "write=CIDR"/
    ],
    ['location / { punit_status; punit_status; }', qr/is duplicate/],
    ['punit_introspect /a; punit_introspect /b;', qr/is duplicate/],
    ['location / { punit_introspect /a; }', qr/not allowed here/],
);

refused("$_->[0] " . ($_->[0] =~ /server \{ listen/ ? '' : server()), $_->[1],
    length $_->[0] > 70 ? substr($_->[0], -60) : $_->[0])
    for @http;
refused("$main " . server($_->[0]), $_->[1], $_->[0]) for @server;

my ($ok, $said) = $n->check("punit_unit EU;\n" . server());
like($said, qr/nginx\.conf:\d+/, 'with file and line');

accepted(server('location / { return 200; }'), 'a configuration without punit');
accepted(
    "$main punit_peer us; punit_issuer a; punit_audience a b; punit_leeway 5s;
        punit_uuid_claims sub jti;
        punit_token bearer cookie:t header:X-Token;
    punit_unit_from claim:unit header:Punit-Unit; punit_grid grid; punit_grid_args a b;
        punit_grid_stale 100ms; punit_grid_near 1m; punit_move unix:/x;
    punit_move_interval 2s; punit_token_check grid; punit_token_grid 127.0.0.1:3;
        punit_token_recheck 2s; punit_introspect /i;
    punit_reissue /r; punit_state state;" . server(
        "punit_issuer off; punit_audience off; punit_leeway off; punit_uuid_claims off;
     punit_token off;
    punit_unit_from off; punit_grid off; punit_grid_args off; punit_grid_stale off; punit_move off;
        punit_token_check off;
    punit_token_grid off; punit_introspect off; punit_reissue off; punit_stale off;
        punit_scope user; punit_require roles a; $local
    punit_local \@local; punit_forward \@local; location / { punit_require off; } location /off {
        punit_scope off; punit_local off;
    punit_forward off; } location /s { punit_status write=127.0.0.0/8 write=::1 write=unix:; }"
    ),
    'everything, and everything off'
);
accepted(
    "$main punit_peer us; "
        . server(
        "punit_scope user; $local location / { punit_local \@local; punit_forward \@local; }"),
    'a scope of the server with routes of the location'
);

done_testing;
