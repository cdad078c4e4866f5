# The peer listener: only units with their own certificate, answered here or with an untouched 421.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Select;
use IO::Socket::UNIX;
use Socket;

use Punit::Authority;
use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;
use Punit::Wait qw(patience);

my $n = Punit::Nginx->new;
my $dir = $n->dir;
my $keys = Punit::Token->new("$dir/keys");
$keys->es256($_) for qw(eu-1 us-1);

my $ca = Punit::Authority->new($dir, 'ca');
$ca->certify($_) for qw(eu us xx);

my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    return [421, ['Punit-Owner' => 'us; epoch=7']] if $req->{uri} =~ /moved/;
    return [421, ['Punit-Author' => 'us', 'Content-Type' => 'text/plain'], 'a body']
        if $req->{uri} =~ /author/;
    return [200, ['Punit-Owner' => 'eu; epoch=4'], 'eu'];
});
my $mover = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$dir/mover.sock")
    or die "mover: $!";
chmod 0777, "$dir/mover.sock";

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_token_check off;
    punit_move unix:$dir/mover.sock;
    upstream us { server 127.0.0.1:@{[$n->port('public')]}; }
    server {
        listen 127.0.0.1:@{[$n->port('peer')]} ssl http2;
        ssl_certificate eu.pem;
        ssl_certificate_key eu.key;
        ssl_client_certificate ca.pem;
        ssl_verify_client on;
        punit_peer_listener on;
        punit_local \@local;
        location / { punit_scope user; }
        location /reference/ { punit_scope reference; }
        punit_introspect /introspect;
        location = /introspect { internal; return 503; }
        location /checked/ { punit_scope user; punit_token_check grid; }
        location /followed/ { punit_scope user; punit_local \@followed; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header X-Epoch \$punit_epoch;
            proxy_set_header X-From \$punit_from;
            proxy_set_header X-Client \$punit_client;
            proxy_set_header X-Route \$punit_route;
        }
        location \@followed {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 = \@follow;
        }
        location \@follow { punit_scope user; }
    }
    server {
        listen 127.0.0.1:@{[$n->port('public')]};
        punit_local \@local;
        punit_forward \@local;
        location / { punit_scope user; }
        location \@local { proxy_pass http://127.0.0.1:@{[$worker->port]}; }
    }
EOF_CONF
$n->start;

my $token = $keys->token(unit => 'us', epoch => 3);
my @from =
    ('Punit-From: us', 'Punit-Hops: 1', 'Punit-Client: 192.0.2.7', 'Punit-Owner: eu; epoch=5');

# (status, { headers }, body) by curl, as unit
sub ask {
    my ($unit, $path, @headers) = @_;
    my @cmd = (
        'curl', '-sS', '-i', '--max-time', patience(10), '--http1.1', '--resolve',
        'eu:' . $n->port('peer') . ':127.0.0.1', '--cacert', "$dir/ca.pem",
        $unit ? ('--cert', "$dir/$unit.pem", '--key', "$dir/$unit.key") : (),
        (map { ('-H', $_) } @headers), 'https://eu:' . $n->port('peer') . $path
    );
    open my $p, '-|', @cmd or die "curl: $!";
    my $text = do { local $/; <$p> }
        // '';
    close $p;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($line, @lines) = split /\r\n/, $head // '';
    my %h = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } @lines;
    my ($status) = ($line // '') =~ /^\S+ (\d+)/;
    return ($status // 0, \%h, $body // '');
}

my ($status, $h, $body) =
    ask('us', '/x', "Authorization: Bearer $token", @from, 'X-Request-Id: abc-1');
is($status, 200, 'a peer with its certificate is answered');
is($h->{'punit-owner'}, 'eu; epoch=4', 'and told the owner of the user');
is($h->{'x-request-id'}, 'abc-1', 'under the request id of the edge');
my ($req) = $worker->requests;
is($req->{headers}{'x-from'}, 'us', 'the worker is told the unit that forwards');
is($req->{headers}{'x-client'}, '192.0.2.7', 'and the client\'s address');
is($req->{headers}{'x-epoch'}, 5, 'and the epoch that the edge believes in');
is($req->{headers}{'x-route'}, 'local', 'the route is local, whatever the claim says');

($status, $h, $body) = ask('us', '/moved', "Authorization: Bearer $token", @from);
is($status, 421, 'a 421 goes back');
is($h->{'punit-owner'}, 'us; epoch=7', 'with the owner');
is($h->{'content-length'}, 0, 'without a body');
($status, $h, $body) = ask('us', '/followed/moved', "Authorization: Bearer $token", @from);
is($status, 421, 'even if the location follows: forwarding never nests');
is($h->{'punit-owner'}, 'us; epoch=7', 'with the owner');
is($body, '', 'without a body');
($status, $h, $body) = ask('us', '/reference/author', "Authorization: Bearer $token", @from);
is($status, 421, 'a 421 with an author goes back');
is($h->{'punit-author'}, 'us', 'with the author');
is($body, '', 'without the body that the worker should not have sent');
is($h->{'content-type'}, undef, 'nor its type');

($status, $h, $body) = ask('us', '/checked/x', "Authorization: Bearer $token", @from);
is($status, 502, 'a token that cannot be checked now: 502, so that the edge asks on');

# curl does not mind an octet too many
my $raw = do {
    open my $f, '>', "$dir/requests" or die $!;
    print $f join "\r\n", 'GET /reference/author HTTP/1.1', 'Host: eu',
        "Authorization: Bearer $token", @from, "Connection: $_", '', ''
        for 'keep-alive', 'close';
    close $f;
    `openssl s_client -quiet -connect 127.0.0.1:@{[$n->port('peer')]} -servername eu \\
        -cert $dir/us.pem -key $dir/us.key <$dir/requests 2>/dev/null`;
};
is_deeply(
    [map { /^HTTP\/1\.1 (\d+) .*?\r\n\r\n(.*)/s ? "$1 $2" : $_ } split m{(?=HTTP/1\.1 )}, $raw],
    ['421 ', '421 '],
    'nor does a byte of it follow: the connection is kept'
);

($status, $h, $body) = ask('us', '/x', "Authorization: Bearer $token", 'Punit-Hops: 1');
is($status, 403, 'without Punit-From: 403');
like($body, qr/urn:punit:not-a-peer/, 'and a problem');
is((ask('xx', '/x', "Authorization: Bearer $token", @from))[0], 403,
    'a certificate of another name than Punit-From: 403');
is((ask('xx', '/x', "Authorization: Bearer $token", 'Punit-From: xx', 'Punit-Hops: 1'))[0], 403,
    'a certificate of a stranger: 403');
is((ask(undef, '/x', "Authorization: Bearer $token", @from))[0], 400,
    'no certificate: refused by TLS');
is((ask('us', '/x', "Authorization: Bearer $token", 'Punit-From: us'))[0], 400,
    'without Punit-Hops: 400');
is((ask('us', '/x', "Authorization: Bearer $token", 'Punit-From: us', 'Punit-Hops: 2'))[0], 508,
    'forwarded twice: 508');
is((ask('us', '/x', "Authorization: Bearer $token", @from, 'CDN-Loop: punit-us, punit-eu'))[0],
    508, 'been here before: 508');
is((ask('us', '/x', @from))[0], 401, 'a peer needs the token of the user, too');

my $user = Punit::Token::uuid();
my $mine = $keys->token(unit => 'eu', sub => $user);
my $home = sub { $n->ask('GET', '/x', token => $mine, port => 'public')->{status} };
is($home->(), 200, 'a local request of a user');
is(IO::Select->new($mover)->can_read(0.1), undef, 'is nothing to tell');
is((ask('us', '/x', "Authorization: Bearer $mine", @from))[0], 200, 'a peer forwards for the user');
is(IO::Select->new($mover)->can_read(0.1), undef, 'nor is that');
is($home->(), 200, 'but local requests after it');
ok(IO::Select->new($mover)->can_read(patience(5)), 'are told to the mover');
$mover->recv(my $data, 8192);
is($data, "l $user 1\n", 'as local');

my $old = $keys->token(unit => 'us', epoch => 3, sub => Punit::Token::uuid());
my $route = sub { $n->ask('GET', '/x', token => $old, port => 'public')->{headers}{'punit-route'} };
is($route->(), 'forward', 'a token that names another unit: there');
is((ask('us', '/x', "Authorization: Bearer $old", @from))[0], 200,
    'a peer forwards for the user, who is owned here');
is($route->(), 'local', 'so this is known to this front too');

is($n->stop, '', 'the log is clean');
done_testing;
