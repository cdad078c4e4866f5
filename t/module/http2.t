# HTTP/2 over TLS on the public side, and other modules' subrequests into punit's locations.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep);

use Punit::Authority;
use Punit::Backend;
use Punit::Nginx;
use Punit::Token;
use Punit::Wait qw(patience);

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1);

my $dir = $n->dir;
Punit::Authority->new($dir, 'eu');

my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    sleep 0.3 if $req->{uri} =~ /slow/;
    return [421, ['Punit-Owner' => 'us; epoch=2']] if $req->{uri} =~ /moved/;
    return [200, ['Punit-Owner' => 'eu; epoch=1'], "eu $req->{method} " . length $req->{body}];
});
my $us = Punit::Backend->new(
    sub { [200, ['Punit-Owner' => 'us; epoch=2'], "us $_[0]{method} " . length $_[0]{body}] });
my $auth = Punit::Backend->new(sub { [200, [], '{"active":true}'] });

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_introspect /introspect;
    punit_token_recheck 1ms;
    upstream us { server 127.0.0.1:@{[$us->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]} ssl http2;
        ssl_certificate eu.pem;
        ssl_certificate_key eu.key;
        punit_local \@local;
        punit_forward \@forward;
        location / { punit_scope user; }
        location /asked { punit_scope public; auth_request /inner; }
        location = /inner { punit_scope user; internal; }
        location /guarded { punit_scope user; auth_request /open; }
        location = /open { punit_scope public; internal; }
        location /mirrored { punit_scope public; mirror /inner; }
        location = /introspect { internal; proxy_pass http://127.0.0.1:@{[$auth->port]}; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 = \@follow;
        }
        location \@forward { proxy_pass http://\$punit_owner; }
        location \@follow { punit_scope user; }
    }
EOF_CONF
$n->start;

my $url = 'https://127.0.0.1:' . $n->port('http');
my $token = $keys->token;
my @token = (-H => "Authorization: Bearer $token");

sub curl {
    open my $p, '-|', qw(curl -sS --no-progress-meter -i -k --http2 --max-time), patience(10), @_
        or die "curl: $!";
    my $said = do { local $/; <$p> }
        // '';
    close $p;
    $said =~ s/\r//g;
    return $said;
}

like(curl(@token, "$url/x"), qr{^HTTP/2 200.*^punit-route: local\n.*eu GET 0}sm,
    'HTTP/2: served here');
like(curl(@token, -H => 'Punit-From: x', -d => 'x' x 40_000, "$url/moved"),
    qr{^HTTP/2 200.*^punit-route: forward\n.*us POST 40000}sm, 'a body is replayed');
like(curl("$url/x"), qr{^HTTP/2 401.*^www-authenticate: Bearer.*urn:punit:no-token}sm,
    'no token: 401');
like(curl(-I => @token, "$url/x"), qr{^HTTP/2 200}, 'HEAD');
like(curl(@token, "$url/asked"), qr{^HTTP/2 200}, "another module's subrequest with a token");
like(curl("$url/asked"), qr{^HTTP/2 401}, 'and without one');
like(curl(@token, "$url/guarded/moved"), qr{^HTTP/2 200.*^punit-route: forward\n.*us GET 0}sm,
    'what is found out for a subrequest does not touch the request it was made for');
like(curl(@token, -d => 'body', "$url/mirrored"), qr{^HTTP/2 200.*eu POST 4}s,
    'a mirrored request');

# streams that are given up while something is waited for
for my $ms (1 .. 20) {
    my $fresh = $keys->token;
    curl(-H => "Authorization: Bearer $fresh", '--max-time', $ms / 100, '-o', '/dev/null',
        '--no-show-error', "$url/slow");
}
my @answers = curl(@token, '--parallel', map {"$url/x$_"} 1 .. 30) =~ m{HTTP/2 (\d+)}g;
is(join(',', @answers), join(',', (200) x 30), 'thirty requests at once');

is($n->stop, '', 'the log is clean');
done_testing;
