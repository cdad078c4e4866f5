#!/usr/bin/perl
# HTTPS for clients: HTTP/2 with a crossing, the way from HTTP, named proxies, renewal, own files.
# Then the same units on IPv6 addresses and on names.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Path qw(make_path);
use JSON::PP qw(decode_json encode_json);
use Test::More;

use Punit::Authority;
use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory);
use Punit::Units;
use Punit::Wait qw(wait_until);

my $units = Punit::Units->start(
    units => ['eu', 'us'],
    env => { PUNIT_MOVE_QUIET => '500ms', PUNIT_MOVE_DWELL => '500ms' });
my $dir = $units->dir;
my $own = directory('https');
my $web = Punit::Authority->new($own, 'web')->certify('site', 'localhost')
    ->certify('renewed', 'localhost')->certify('other', 'localhost');
my %https = (eu => $units->base + 291, us => $units->base + 292);

# One request by curl: { status, version, headers, body, json }. Each has a connection of its own.
sub curl {
    my ($url, %o) = @_;
    my @headers = map { ('-H', $_) } @{ $o{headers} // [] };
    push @headers, '-H', "Authorization: Bearer $o{token}" if defined $o{token};
    push @headers, '-H', 'Content-Type: application/json', '--data', encode_json($o{post})
        if $o{post};
    push @headers, '--interface', $o{from} if $o{from};
    my ($failed, $text) = capture(
        'curl', '-sS', '-m', 20, '--http2', '--cacert', "$own/web.pem", '-D', '-', @headers,
        '-w', "\n%{http_version}", $url
    );
    return { status => 0, version => '', headers => {}, body => $text } if $failed;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = $head =~ m{^HTTP/\S+ (\d+)};
    my %header = map { /^([^:]+): (.*?)\r?$/ ? (lc $1 => $2) : () } split /\n/, $head;
    my ($version) = $body =~ s/\n([\d.]+)\z// ? $1 : '';
    return {
        status => $status, version => $version, headers => \%header, body => $body,
        json => scalar eval { decode_json($body) }
    };
}

sub init {
    my ($unit, @more) = @_;
    return $units->punitctl($unit, 'unit', 'init', $unit, @more);
}

sub pair {
    my ($name) = @_;
    return ('--https-cert', "$own/$name.pem", '--https-key', "$own/$name.key");
}

# What a server shows, as a digest.
sub shown {
    my ($port, @more) = @_;
    my (undef, $text) =
        capture('sh', '-c',
            "openssl s_client -connect 127.0.0.1:$port @more </dev/null 2>/dev/null"
            . ' | openssl x509 -noout -fingerprint -sha256');
    return $text;
}

sub digest {
    my ($file) = @_;
    return (capture('openssl', 'x509', '-in', $file, '-noout', '-fingerprint', '-sha256'))[1];
}

# Registers a user at one address and asks at another until the other unit owns the user.
sub cross {
    my ($there, $here, $name) = @_;
    my $register = curl(
        "$there/auth/register",
        post =>
            { email => "$name\@example.org", password => 'correct horse battery', name => $name });
    is($register->{status}, 201, 'a user registers') or diag($register->{body});
    my $token = $register->{json}{access_token};
    my ($answer, %seen);
    wait_until(
        sub {
            $answer = curl("$here/profile", token => $token);
            $seen{"$answer->{status} $answer->{version} "
                    . ($answer->{headers}{'punit-route'} // '')}++;
            $token = $answer->{headers}{'punit-token'} // $token;
            return ($answer->{headers}{'punit-route'} // '') eq 'local';
        },
        30
    );
    return ($answer, \%seen);
}

# ---- HTTPS
for my $unit ('eu', 'us') {
    my ($status, $output) =
        init($unit, '--https', "127.0.0.1:$https{$unit}", pair('site'));
    is($status, 0, "HTTPS for the clients of $unit, while it runs") or diag($output);
}
my ($eu, $us) = map {"https://localhost:$https{$_}"} 'eu', 'us';
ok(wait_until(sub { curl("$_/auth/keys")->{status} == 200 }, 20), "$_ answers") for $eu, $us;

my ($answer, $seen) = cross($eu, $us, 'ada');
is("$answer->{status} $answer->{headers}{'punit-unit'} $answer->{version}", '200 us 2',
    'the user crosses, by HTTP/2');
is_deeply([grep { !/^200 2 (?:forward|local)$/ } keys %$seen], [], 'and no request failed')
    or diag explain $seen;
unlike($units->log_text('eu', 'nginx'), qr/\[(?:warn|error|emerg|alert)\].*(?:http2|listen)/,
    'NGINX has nothing to warn of');
is((capture('openssl', 's_client', '-connect', "127.0.0.1:$https{eu}", '-tls1_1'))[0], 1,
    'TLS 1.1 is refused');

# ---- from HTTP to HTTPS
my $plain = 'http://127.0.0.1:' . $units->port('eu');
$answer = curl("$plain/profile?a=1&b=%2F", headers => ['Host: eu.example'], post => {});
is("$answer->{status} $answer->{headers}{location}",
    "308 https://eu.example:$https{eu}/profile?a=1&b=%2F",
    'HTTP leads to HTTPS, with method, path and query');
is(curl("$plain/auth/keys", headers => ['X-Forwarded-Proto: https'])->{status}, 200,
    'but not what a proxy took by TLS: no loop');
is(curl("$plain/auth/keys", headers => ['X-Forwarded-Proto: http'])->{status}, 308,
    'unlike what it took without');
my $challenge = '.well-known/acme-challenge';
make_path("$dir/eu/nginx/acme/$challenge");
spew("$dir/eu/nginx/acme/$challenge/abc", 'abc.key');
$answer = curl("$plain/$challenge/abc");
is("$answer->{status} $answer->{body}", '200 abc.key', 'an ACME challenge is answered by HTTP');
is(curl("$plain/$challenge/none")->{json}{type}, 'urn:punit:not-found', 'if there is one');
$answer = curl("$eu/auth/keys");
ok(!exists $answer->{headers}{'strict-transport-security'}, 'HSTS is off');
my ($status, $output) = init('eu', 'PUNIT_HTTPS_REDIRECT=off');
is($status, 0, 'the redirect can be taken away') or diag($output);
ok(wait_until(sub { curl("$plain/auth/keys")->{status} == 200 }, 20), 'HTTP serves again then');

# ---- proxies
($status, $output) = init('eu', 'PUNIT_REAL_IP_FROM=127.0.0.5 127.0.0.6/31 ::1/128');
is($status, 0, 'proxies are named') or diag($output);

sub client {
    my ($from, $forwarded) = @_;
    my $asked = curl("$plain/auth/keys", from => $from, headers => ["X-Forwarded-For: $forwarded"]);
    my $id = $asked->{headers}{'x-request-id'} // return 'no answer';
    my $client;
    wait_until(
        sub { ($client) = $units->log_text('eu', 'access') =~ /id=\Q$id\E client=(\S+)/ },
        10
    );
    return $client // 'no line';
}
ok(wait_until(sub { client('127.0.0.5', '203.0.113.9') eq '203.0.113.9' }, 20),
    'the client of a named proxy is whom the proxy names');
is(client('127.0.0.7', '2001:db8::9'), '2001:db8::9', 'of a named network too');
is(client('127.0.0.5', '198.51.100.1, 203.0.113.9, 127.0.0.6'), '203.0.113.9',
    'a client cannot forge more than its own part');
is(client('127.0.0.8', '203.0.113.9'), '127.0.0.8', 'the word of others does not count');
curl("$plain/auth/login", from => $_, headers => ['X-Forwarded-For: 203.0.113.77'],
    post => { email => 'nobody@example.org', password => 'wrong horse battery' })
    for '127.0.0.5', '127.0.0.9';
is_deeply(
    $units->dbh('eu')->selectcol_arrayref(
        "select who from auth.attempt where who ~ '(203.0.113.77|127.0.0.9|127.0.0.5)\$' order by 1"
    ),
    ['address 127.0.0.9', 'address 203.0.113.77'],
    'attempts at passwords are counted by that address'
);

# ---- renewal
is(shown($https{eu}), digest("$own/site.pem"), 'the certificate for clients is shown');
($status, $output) = init('eu', (pair('renewed'))[0, 1], (pair('other'))[2, 3]);
ok($status == 1 && $output =~ /other\.key does not belong to \S+renewed\.pem/,
    'one without its key is refused')
    or diag($output);
is(shown($https{eu}), digest("$own/site.pem"), 'and the good one stays');
($status, $output) = init('eu', pair('renewed'));
is($status, 0, 'the next one is taken') or diag($output);
ok(wait_until(sub { shown($https{eu}) eq digest("$own/renewed.pem") }, 20),
    'and shown, without a restart');

my $old = digest("$dir/eu/tls/unit.pem");
is(shown($units->port('eu', 'peer')), $old, 'the certificate between units is shown by NGINX');
is(shown($units->port('eu', 'pg'), '-starttls', 'postgres'), $old, 'and by PostgreSQL');
capture('cp', "$dir/ca/ca.pem", "$dir/ca/ca.key", $own);
Punit::Authority->of($own, 'ca')->certify('eu');
($status, $output) =
    init('eu', '--cert', "$own/eu.pem", '--key', "$own/eu.key", '--cacert', "$own/ca.pem");
is($status, 0, 'the next one of those is taken too') or diag($output);
for my $server ([$units->port('eu', 'peer')], [$units->port('eu', 'pg'), '-starttls', 'postgres']) {
    ok(wait_until(sub { shown(@$server) eq digest("$own/eu.pem") }, 20),
        "and shown on port $server->[0], without a restart");
}

# ---- own files
spew("$dir/eu/nginx/local/http.d/own.conf", "map \$uri \$own { default own; }\n");
spew("$dir/eu/nginx/local/public.d/hsts.conf",
    "add_header Strict-Transport-Security \"max-age=86400\" always;\n");
spew("$dir/eu/nginx/local/locations.d/own.conf", "location = /own { return 200 \$own; }\n");
kill HUP => $units->pid('eu', 'nginx');
ok(wait_until(sub { curl("$eu/own")->{body} eq 'own' }, 20),
    'own files of the http level and of locations are in force');
# a worker process of before may still accept a connection
my $sts = sub { curl("$eu/auth/keys")->{headers}{'strict-transport-security'} // '' };
ok(wait_until(sub { $sts->() eq 'max-age=86400' }, 20),
    'one of the public server too, for what punit answers');

# ---- IPv6 and names
sub address {
    my ($unit, $host) = @_;
    my @ports = ($units->port($unit), $units->port($unit, 'peer'), $units->port($unit, 'pg'));
    return map {"$host:$_"} @ports;
}
my %host = (eu => '[::1]', us => 'localhost');
spew("$dir/units", map { join(' ', $_, address($_, $host{$_})) . "\n" } 'eu', 'us');
for my $unit ('eu', 'us') {
    my ($http, $peer, $pg) = address($unit, $host{$unit});
    ($status, $output) = init(
        $unit, '--http', $http, '--peer', $peer, '--pg', $pg, '--https',
        "$host{$unit}:$https{$unit}", 'PUNIT_HTTPS_REDIRECT=on'
    );
    is($status, 0, "$unit on $host{$unit}") or diag($output);
    delete $units->{dbh};
    $units->process($unit, $_, 'down') for 'nginx', 'postgres';
    $units->process($unit, $_, 'up') for 'postgres', 'nginx';
}
for my $unit ('eu', 'us') {
    ok(
        wait_until(
            sub {
                ($status, $output) = $units->punitctl($unit, 'unit', 'add', "$dir/units");
                return $status == 0;
            },
            30
        ),
        "$unit knows of the new addresses"
    ) or diag($output);
}
for my $unit ('eu', 'us') {
    ($status, $output) = $units->punitctl($unit, 'mesh', 'join');
    is($status, 0, "$unit joins the mesh by them") or diag($output);
}
my $sockets = (capture('ss', '-Htln'))[1];
like($sockets, qr/\[::1\]:@{[$units->port('eu', $_)]}\b/, "$_ of eu listens on IPv6")
    for 'http', 'peer', 'pg';
unlike($sockets, qr/127\.0\.0\.1:@{[$units->port('eu')]}\b/, 'and on nothing else');

$eu = "https://localhost:$https{eu}";
$us = "https://localhost:$https{us}";
ok(wait_until(sub { curl("$_/auth/keys")->{status} == 200 }, 20), "$_ answers") for $eu, $us;
($answer, $seen) = cross($eu, $us, 'grace');
is("$answer->{status} $answer->{headers}{'punit-unit'}", '200 us',
    'a user crosses from IPv6 to a name');
is_deeply([grep { !/^200 2 (?:forward|local)$/ } keys %$seen], [], 'and no request failed')
    or diag explain $seen;
($answer, $seen) = cross($us, $eu, 'edsger');
is("$answer->{status} $answer->{headers}{'punit-unit'}", '200 eu',
    'another from a name to IPv6');
$answer = curl('http://[::1]:' . $units->port('eu') . '/profile');
is("$answer->{status} $answer->{headers}{location}", "308 https://[::1]:$https{eu}/profile",
    'a redirect keeps the brackets');
is($units->one('eu', 'select http from punit.unit where id = punit.self()'),
    'http://[::1]:' . $units->port('eu'), 'the directory has the address as a URL');

$units->stop;
done_testing();
