#!/usr/bin/perl
# nginx.conf as it is shipped: what the outside reaches, what peers reach, what is logged.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use POSIX ();
use Punit::Client;
use Punit::Services qw(services);
use Punit::Units;
use Punit::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep);
use YAML::XS ();

my $units = Punit::Units->start(units => ['eu', 'us'], env => { PUNIT_MOVE_AFTER => 64 });
my $dir = $units->dir;

# ---- paths
for my $path ('/', '/nowhere', '/auth/introspect', '/punit/introspect', '/punit/reissue',
    '/punit/', '/profiles', '/metrics/else')
{
    my $answer = $units->http('eu', POST => $path, undef, {});
    is("$answer->{status} " . ($answer->{json}{type} // $answer->{content}),
        '404 urn:punit:not-found', "POST $path is not there");
}
for my $service (services()) {
    my $answer = $units->admin('eu', "/$service/health");
    is("$answer->{status} " . ($answer->{json}{unit} // ''), '200 eu', "/$service/health answers");
}
is($units->http('eu', GET => $_)->{status}, 401, "$_ wants a token")
    for '/profile', '/profile/export', '/activities', '/metrics/samples', '/metrics/summary',
    '/social/feed', '/auth/sessions',
    '/training/exercises', '/training/programmes', '/sports', '/metrics/types';
is($units->http('eu', POST => $_)->{status}, 401, "POST $_ wants a token")
    for '/auth/logout', '/auth/password';
is($units->http('eu', GET => '/auth/keys')->{status}, 200, '/auth/keys wants none');
my $status = $units->admin('eu', '/punit/status');
is_deeply([map { $_->{id} } @{ $status->{json}{peers} }], ['us'], 'punit_status names the peers');

my $answer = $units->http('eu', POST => '/auth/register', undef, 'x' x (1024 * 1024 + 1));
is("$answer->{status} $answer->{json}{type}", '413 urn:punit:too-large',
    'a body above 1 MiB is refused, and said so');
$answer = $units->http('eu', POST => '/auth/register', undef, '"' . 'x' x (1024 * 1024 - 2) . '"');
is($answer->{status}, 422, 'one of 1 MiB reaches the worker');

# ---- a user of eu, asked for at us
my $register = $units->http(
    'eu', POST => '/auth/register', undef,
    { email => 'ada@example.org', password => 'correct horse battery', name => 'Ada' });
is($register->{status}, 201, 'a user registers at eu') or diag($register->{content});
my $token = $register->{json}{access_token};
my $user = $register->{json}{user_id};
$answer = $units->http('us', GET => '/profile', $token, undef,
    headers => { 'X-Request-Id' => 'ab' x 16 });
is("$answer->{status} $answer->{headers}{'punit-route'} $answer->{headers}{'punit-unit'}",
    '200 forward eu', 'us forwards to eu');
ok(!exists $answer->{headers}{'punit-owner'}, 'what units tell each other stays between them');
my $id = $answer->{headers}{'x-request-id'};

sub log_line {
    my ($unit) = @_;
    my ($line) = grep {/\bid=\Q$id\E /} split /\n/, $units->log_text($unit, 'access');
    return $line;
}
ok(wait_until(sub { log_line('us') && log_line('eu') }, 5),
    'both units log the request by the same id');
like(log_line('us'), qr/user=\Q$user\E route=forward owner=eu epoch=1 why="[^"]+"/,
    'us logs user, route, owner and why');
like(log_line('eu'), qr/user=\Q$user\E route=local owner=eu .* from=us /,
    'eu logs the unit that it came from');
unlike($units->log_text('us', 'access'), qr/\Q@{[substr $token, -20]}\E/, 'no token is in a log');

# ---- a client that sends a header as it must not, here and through the other unit
for my $unit ('eu', 'us') {
    for (
        ['an empty Idempotency-Key', 'Idempotency-Key' => ''],
        ['two of them', 'Idempotency-Key' => 'a', 'Idempotency-Key' => 'a'],
        ['two Content-Types', ('Content-Type' => 'application/json') x 2])
    {
        my ($what, @headers) = @$_;
        my $a = Punit::Client->once(
            $units->port($unit), PATCH => '/profile', token => $token,
            headers => \@headers, body => '{"name":"Eve"}');
        is("$a->{status} " . (decode_json($a->{body} || '{}')->{type} // ''),
            '400 urn:punit:invalid-header', "$what at $unit: 400");
    }
}

# ---- limits agree: the greatest number of samples, each as long as it can be, is taken
my ($most) = YAML::XS::LoadFile("$FindBin::Bin/../../doc/openapi.yaml")
    ->{components}{schemas}{Samples}{maxItems};
my ($pulse) = map { $_->{id} } grep { $_->{name} eq 'Heart rate' }
    @{ $units->http('eu', GET => '/metrics/types', $token)->{json}{items} };
my ($sport) = map { $_->{id} } @{ $units->http('eu', GET => '/sports', $token)->{json}{items} };
my $walk = $units->http(
    'us', POST => '/activities', $token,
    { sport_id => $sport, started_at => '2026-03-01T10:00:00Z', duration_s => 60 })->{json}{id};
for my $unit ('eu', 'us') {
    my $hour = $unit eq 'eu' ? 0 : 3;
    $answer = $units->http(
        $unit, POST => '/metrics/samples', $token,
        '[' . join(
            ',',
            map {
                sprintf '{"type_id":"%s","at":"2026-03-01T%02d:%02d:%02d.000000+00:00",'
                    . '"value":100.00000000000000000000,"activity_id":"%s"}', $pulse,
                    $hour + int($_ / 3600), int($_ / 60) % 60, $_ % 60, $walk
            } 0 .. $most - 1
        ) . ']'
    );
    is("$answer->{status} $answer->{content}", qq(201 {"stored":$most}), "$most samples at $unit");
}

# ---- the export says the same while nothing changes
my @tags = map { $units->http($_, GET => '/profile/export', $token)->{headers}{etag} } 'eu', 'us';
ok($tags[0] && $tags[0] eq $tags[1], 'the ETag of an export stays while nothing changes')
    or diag("@tags");
$answer = $units->http('eu', GET => '/profile/export', $token, undef,
    headers => { 'If-None-Match' => $tags[0] });
is($answer->{status}, 304, 'and a client that has the export is told so');
$units->http('eu', PATCH => '/profile', $token, { name => 'Ada L.' });
$answer = $units->http('eu', GET => '/profile/export', $token);
isnt($answer->{headers}{etag}, $tags[0], 'a change changes it');

# ---- the listener for peers
my $peer = 'https://127.0.0.1:' . $units->port('eu', 'peer');
sub curl {
    my @arguments = @_;
    open my $pipe, '-|', 'curl', '-s', '-k', '-w', ' %{http_code}', @arguments or die "curl: $!";
    local $/;
    my $output = <$pipe>;
    close $pipe;
    return $output;
}
my @us = ('--cert', "$dir/us/tls/unit.pem", '--key', "$dir/us/tls/unit.key");
like(curl("$peer/auth/keys"), qr/ 400$/, 'without a certificate a peer is refused');
like(curl(@us, '-H', 'Punit-From: us', '-H', 'Punit-Hops: 1', "$peer/auth/keys"), qr/ 200$/,
    'with one it is heard');
like(curl(@us, '-H', 'Punit-From: ap', '-H', 'Punit-Hops: 1', "$peer/auth/keys"), qr/ 403$/,
    'not under another name');
like(curl(@us, "$peer$_"), qr/ 404$/, "$_ is not for peers")
    for '/auth/health', '/punit/status', '/ready', '/live';
is(
    curl(
        @us, '-H', 'Punit-From: us', '-H', 'Punit-Hops: 1', '-H', "Authorization: Bearer $token",
        "$peer/profile"
    ) =~ / (\d+)$/ ? $1 : 0,
    200,
    'a request of a user passes'
);
my $stranger = $units->http(
    'us', POST => '/auth/register', undef,
    { email => 'bob@example.org', password => 'correct horse battery', name => 'Bob' })->{json};
is(
    curl(
        @us, '-H', 'Punit-From: us', '-H', 'Punit-Hops: 1', '-H',
        "Authorization: Bearer $stranger->{access_token}", "$peer/profile"
    ),
    ' 421',
    'of one it does not own: 421 with an empty body, passed back untouched'
);

# ---- from the public side, words of peers are not heard
$answer = $units->http(
    'us', GET => '/profile', $token, undef,
    headers => {
        'Punit-From' => 'eu', 'Punit-Hops' => '1', 'Punit-Owner' => 'us; epoch=9',
        'X-Accel-Redirect' => '/punit/reissue'
    });
is("$answer->{status} $answer->{headers}{'punit-unit'}", '200 eu',
    'what only units may say is dropped on the public side');

# ---- in trouble
$units->process('eu', 'grid', 'down');
$units->process('eu', 'tokens', 'down');
is($units->http('eu', GET => '/profile', $token)->{status}, 200,
    'memcached down: served without it');
is($units->http('eu', GET => '/training/exercises?limit=1', $token)->{status}, 200,
    'the catalogue too');
$units->process('eu', $_, 'up') for 'grid', 'tokens';

$units->process('eu', 'postgres', 'down');
$answer = $units->http('eu', GET => '/profile', $token);
ok($answer->{status} == 503 && $answer->{headers}{'retry-after'},
    'PostgreSQL down: 503 with Retry-After')
    or diag("$answer->{status} $answer->{content}");
$units->process('eu', 'postgres', 'up');
ok(wait_until(sub { $units->http('eu', GET => '/profile', $token)->{status} == 200 }, 15),
    'and served when it is back');

$units->process('eu', 'nginx', 'down');
$answer = $units->http('us', GET => '/profile', $token);
ok(
           $answer->{status} == 503
        && $answer->{headers}{'retry-after'}
        && $answer->{json}{type} eq 'urn:punit:unit-unreachable',
    'the owner\'s NGINX down: 503 with Retry-After'
) or diag("$answer->{status} $answer->{content}");
$units->process('eu', 'nginx', 'up');
ok(wait_until(sub { $units->http('us', GET => '/profile', $token)->{status} == 200 }, 15),
    'and forwarded when it is back');

# TCP sends a lost SYN again after 1 s (RFC 6298), so who gave up by then would refuse a user for
# each one
$units->process('us', 'nginx', $_) for 'down', 'up';    # no connection to eu is kept
ok(wait_until(sub { $units->healthy('us', 'auth') }, 15),
    'us is back');
my $master = $units->pid('eu', 'nginx');
my @eu = ($master, split ' ', `cat /proc/$master/task/$master/children`);
kill STOP => @eu;
my $resumer = fork // die "fork: $!";
if (!$resumer) {
    sleep 1.5;
    kill CONT => @eu;
    POSIX::_exit(0);
}
$answer = $units->http('us', GET => '/profile', $token);
waitpid $resumer, 0;
is("$answer->{status} $answer->{headers}{'punit-route'}", '200 forward',
    'a peer that takes 1.5 s to take a connection is waited for')
    or diag($answer->{content});

done_testing();
