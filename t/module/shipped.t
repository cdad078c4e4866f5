# The shipped configuration (conf/) does what the module leaves to its locations. Its locations that
# forward and follow, its parameters for peers and its list of paths are used as they are. Only the
# addresses and the workers are the test's.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use File::Copy qw(copy);

use Punit::Authority;
use Punit::Backend;
use Punit::Client;
use Punit::File qw(slurp);
use Punit::Nginx;
use Punit::Token;


my $shipped = slurp('conf/templates/nginx/nginx.conf');

# a location of the public side, as it is shipped
sub location {
    my ($name) = @_;
    my ($text) = $shipped =~ /^(        location \Q$name\E \{\n.*?^        \}\n)/ms
        or die "no location $name in nginx.conf";
    return $text;
}

my ($leeway) = $shipped =~ /^    (punit_leeway +\S+;)/m or die 'no punit_leeway in nginx.conf';

my ($uuids) = $shipped =~ /^    (punit_uuid_claims .*;)/m or die 'no punit_uuid_claims';

my ($nothing) = slurp('conf/templates/nginx/punit_locations') =~ /^(location \/ \{.*)/ms
    or die 'no location / in punit_locations';

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->hs256($_) for qw(eu-1 us-1 ap-1 dead-1);

my $dir = $n->dir;
copy('conf/punit_proxy_params', $dir) or die "punit_proxy_params: $!";
Punit::Authority->new($dir, 'ca');

# one program is every unit: Host says which is asked
my $peers = Punit::Backend->new(sub {
    my ($req) = @_;
    my $unit = $req->{headers}{host};
    return [421, ['Punit-Owner' => 'ap; epoch=3']] if $req->{uri} =~ /round/ && $unit eq 'us';
    return [
        200,
        [
            'X-Accel-Redirect' => '/profile/secret', 'X-Accel-Limit-Rate' => 1,
            'X-Accel-Expires' => 100
        ],
        'accel'
        ]
        if $req->{uri} =~ /accel/;
    return [200, [ETag => '"1"'], 'etag'] if $req->{uri} =~ /etag/;
    return [200, ['Punit-Owner' => "$unit; epoch=3"],
        "$unit $req->{method} " . length $req->{body}];
});
my $worker = Punit::Backend->new(sub { [421, ['Punit-Owner' => 'us; epoch=2']] });

my $forward = location('@punit_forward') =~ s{https://}{http://}r;
$forward =~ /include punit_proxy_params;/ or die 'no parameters for peers';
my ($local) = location('@punit_local');
my ($intercept) = $local =~ /(^ +recursive_error_pages.*?error_page[^;]*;)/ms
    or die 'nothing follows a 421 of a worker';

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_peer ap;
    punit_peer dead;
    punit_keys keys;
    punit_token_check off;
    $leeway
    $uuids
    proxy_ssl_trusted_certificate ca.pem;    # as punitctl writes it; nothing here is TLS
    client_max_body_size 1m;
    client_body_buffer_size 16k;
    upstream us { server 127.0.0.1:@{[$peers->port]}; keepalive 4; }
    upstream ap { server 127.0.0.1:@{[$peers->port]}; keepalive 4; }
    upstream dead { server 127.0.0.1:@{[$n->foreign('dead')]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@punit_local;
        punit_forward \@punit_forward;
        location = /profile { punit_scope user; }
        location /profile/ { punit_scope user; }
        location \@punit_local { proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_intercept_errors on; $intercept }
        $forward
        @{[location('@punit_follow')]}
        $nothing
    }
EOF_CONF
$n->start;

sub ask {
    my ($method, $path, $unit, %o) = @_;
    return $n->ask(
        $method, $path, body => $o{body},

        token => $keys->token(unit => $unit, epoch => $o{epoch} // 1), headers => $o{headers});
}

is(ask(GET => '/profile', 'us', headers => [Host => 'punit.example'])->{body}, 'us GET 0',
    'a peer is asked');
my ($req) = $peers->requests;
is($req->{headers}{host}, 'us', 'by its own name, which its certificate shows');
is($req->{headers}{'punit-host'}, 'punit.example', "the client's Host travels beside it");
is($req->{headers}{'punit-from'}, 'eu', 'it is told the unit that forwards');
is($req->{headers}{'punit-hops'}, 1, 'that this was once');
is($req->{headers}{'punit-client'}, '127.0.0.1', 'the client\'s address');
is($req->{headers}{'punit-owner'}, 'us; epoch=1', 'and why');
is($req->{headers}{'cdn-loop'}, 'punit-eu', 'and where it has been');

is(ask(GET => '/profile/round', 'eu')->{body}, 'ap GET 0',
    'a second 421 is followed, to another peer than the first');
my $large = 'x' x 900_000;
is(ask(POST => '/profile/round', 'eu', body => $large)->{body}, 'ap POST 900000',
    'with the whole body');
is(ask(PUT => '/profile/round', 'us', body => $large)->{body}, 'ap PUT 900000',
    'also one that went to a peer first');

# clocks of units differ
sub issued {
    my ($ahead) = @_;
    my $token = $keys->token(unit => 'us', epoch => 1, iat => time + $ahead);
    return $n->ask(GET => '/profile', token => $token)->{status};
}
is(issued(28), 200, 'a token of a clock that is 28 s ahead is good');
is(issued(60), 401, 'one that is 60 s ahead is not');

# claims that are columns of type uuid in the services
for my $claim (qw(sub jti sid)) {
    my $a = $n->ask(GET => '/profile', token => $keys->token(unit => 'us', $claim => 'abc'));
    is($a->{status}, 401, "a token whose $claim is no uuid is refused");
    like($a->{body}, qr/"urn:punit:invalid-token"/, 'as no good token');
}

# what a cache may keep of a user's answer, and what a page of another origin may read
my %from = (headers => [Origin => 'https://app.example']);
my $a = ask(GET => '/profile/etag', 'us', %from);
is($a->{headers}{'cache-control'}, 'private, no-cache', 'with an ETag: ask again');
is($a->{headers}{'x-content-type-options'}, 'nosniff', 'nobody guesses a type');
is(ask(GET => '/profile', 'us')->{headers}{'cache-control'}, 'no-store', 'without one: keep none');
$a = $n->ask(GET => '/profile');
is("$a->{status} $a->{headers}{'cache-control'}", '401 no-store', 'nor a refusal');
for my $method (qw(GET OPTIONS)) {
    $a = $n->ask($method, '/profileX', %from);
    is($a->{status}, 404, "$method of a path that no service answers is 404");
    is($a->{headers}{'content-type'}, 'application/problem+json', 'a problem');
    is($a->{headers}{'punit-unit'}, 'eu', 'of this unit');
    like($a->{headers}{'x-request-id'}, qr/^\S+$/, 'with the id of the request');
    is($a->{headers}{'access-control-allow-origin'}, '*', 'and CORS');
}
$a = $n->ask(OPTIONS => '/profile', %from);
my %may = map { lc $_ => 1 } split /, /, $a->{headers}{'access-control-allow-headers'};
is_deeply([grep { !$may{$_} } qw(if-match if-none-match if-unmodified-since idempotency-key),
    qw(traceparent tracestate x-request-id)], [], 'a page may send what front ends send');

$a = ask(GET => '/profile/accel', 'us');
is("$a->{status} $a->{body}", '200 accel', "a peer's X-Accel-Redirect is not obeyed");

$a = ask(POST => '/profile', 'dead', body => 'x');
is("$a->{status} $a->{body}", '200 us POST 1',
    'a peer that cannot be reached is followed like a 421, to the owner that this unit knows');

$peers->forget;
ask(GET => '/profile/round', 'us') for 1 .. 10;
my %used = map { $_->{connection} => 1 } grep { $_->{headers}{host} eq 'us' } $peers->requests;
is(scalar(keys %used), 1, 'a kept connection survives ten answers of 421') or diag explain \%used;

# every location that follows a 421 can do so twice, with the body; no upstream has a backup
for my $text (map { /^( +)location .*?^\1\}/msg ? $& : () }
    $shipped =~ /(^        location \S+ \{\n.*?^        \}\n)/msg)
{
    my ($name) = $text =~ /location (\S+)/;
    next unless $text =~ /error_page\s+421/;
    like($text, qr/recursive_error_pages\s+on;/, "$name: recursive_error_pages");
    like($text, qr/_intercept_errors\s+on;/, "$name: intercept_errors");
}
for (['punit_proxy_params', 'proxy'], ['punit_fastcgi_params', 'fastcgi']) {
    my ($file, $to) = @$_;
    my $text = slurp("conf/$file");
    like($text, qr/^${to}_request_buffering\s+on;/m, "$file: request buffering");
    my ($ignored) = $text =~ /^${to}_ignore_headers\s+([^;]*);/m;
    is(join(' ', sort split ' ', $ignored // ''),
        join(' ', map {"X-Accel-$_"} qw(Buffering Charset Expires Limit-Rate Redirect)),
        "$file: no X-Accel header is obeyed");
}
like(slurp('conf/punit_fastcgi_params'), qr/^fastcgi_pass_request_headers\s+off;/m,
    'a worker sees no header of a client');
like(slurp('conf/punit_proxy_params'), qr/^proxy_ssl_verify\s+on;/m,
    "a peer's certificate is checked");
for my $file (glob 'conf/* conf/templates/nginx/*') {
    next if -d $file || $file =~ /json$/;
    unlike(slurp($file), qr/^\s*server\s[^#;{]*\bbackup\b/m, "$file: no backup server");
}

is($n->stop, '', 'the log is clean');
done_testing;
