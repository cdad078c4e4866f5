#!/usr/bin/perl
# punitctl certificates, with and without --reload, and the roles of users.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64url);
use Test::More;

use Punit::Command qw(as_punit capture);
use Punit::File qw(append slurp spew);
use Punit::Units;
use Punit::Wait qw(patience wait_until);

my $units = Punit::Units->start(units => ['eu', 'us']);
my $eu = $units->dir . '/eu';
my $ca = (glob $units->dir . '/{ca,*/ca}/ca.key')[0] =~ s{/ca\.key$}{}r;

sub openssl {
    my @arguments = @_;
    my ($status, $output) = capture(as_punit(), 'openssl', @arguments);
    is($status, 0, "openssl $arguments[0]") or diag($output);
    return $output;
}

# Puts a certificate of so many days into the unit's place, with a new key.
sub renew {
    my ($id, $days, $certificate, $key) = @_;
    my $work = "$eu/tmp";
    mkdir $work;
    chmod oct 777, $work;
    spew("$work/ext", "subjectAltName = DNS:$id\nextendedKeyUsage = serverAuth, clientAuth\n");
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
        '-subj', "/CN=$id", '-keyout', "$work/key", '-out', "$work/csr");
    openssl('x509', '-req', '-in', "$work/csr", '-CA', "$ca/ca.pem", '-CAkey', "$ca/ca.key",
        '-CAcreateserial', '-CAserial', "$work/serial", '-days', $days, '-extfile', "$work/ext",
        '-out', "$work/pem");
    chmod oct 600, "$work/key";
    rename "$work/key", $key or die $!;
    rename "$work/pem", $certificate or die $!;
    return openssl('x509', '-in', $certificate, '-noout', '-serial');
}

# The serial of the certificate that a server shows.
sub shown {
    my ($kind, @with) = @_;
    my $port = $units->port('eu', $kind);
    my $client = "openssl s_client -connect 127.0.0.1:$port @with </dev/null 2>/dev/null";
    return qx($client | openssl x509 -noout -serial 2>/dev/null);
}

my ($status, $output) = $units->punitctl('eu', 'certificates');
is($status, 0, 'certificates of a new unit are good') or diag($output);
like($output, qr{^unit +CN=eu +CN=punit authority +\S+ +\d+ +\S+/tls/unit\.pem$}m,
    'name, subject, issuer, end, days and path');
like($output, qr/^authority +CN=punit authority/m, 'the authority too');

subtest 'new files' => sub {
    my $serial = renew('eu', 30, "$eu/tls/unit.pem", "$eu/tls/unit.key");
    isnt(shown('peer'), $serial, 'servers go on with what they have read');
    ($status, $output) = $units->punitctl('eu', 'certificates', '--reload');
    is($status, 0, '--reload') or diag($output);
    is(shown('peer'), $serial, 'NGINX shows the new certificate then');
    ok(wait_until(sub { shown('pg', '-starttls', 'postgres') eq $serial }, 10),
        'and so does PostgreSQL');
    my ($text) = ($units->punitctl('eu', 'certificates', '--json'))[1];
    like(decode_json($text)->{certificates}[0]{days}, qr/^(?:29|30)$/, 'with its days');
    ($status, $output) = $units->punitctl('eu', 'mesh', 'wait', '--within', patience(30));
    is($status, 0, 'the peers accept it') or diag($output);
};

subtest 'files that are no good' => sub {
    my $serial = shown('peer');
    spew("$eu/tls/unit.key.kept", slurp("$eu/tls/unit.key"));
    spew("$eu/tls/unit.pem.kept", slurp("$eu/tls/unit.pem"));
    renew('us', 30, "$eu/tls/unit.pem", "$eu/tls/unit.key");
    ($status, $output) = $units->punitctl('eu', 'certificates', '--reload');
    ok($status == 1 && $output =~ /CN=eu is needed/ && $output =~ /nothing was reloaded/,
        'a certificate of another unit is refused')
        or diag($output);
    is(shown('peer'), $serial, 'nothing changes');
    renew('eu', 10, "$eu/tls/unit.pem", "$eu/tls/unit.key");
    ($status, $output) = $units->punitctl('eu', 'certificates');
    ok($status == 1 && $output =~ /^unit .* (?:9|10) +\S+$/m, 'less than 14 days: exit code 1')
        or diag($output);
    ($status, $output) = $units->punitctl('eu', 'status');
    like($output, qr/^certificate +unit: (?:9|10) days left$/m, 'status says it');
    ($status, $output) = $units->punitctl('eu', 'doctor');
    like($output, qr/^warn +certificates +unit: (?:9|10) days left: replace it/m, 'doctor warns');
};

subtest 'the certificate of HTTPS' => sub {
    renew('www.example.org', 60, "$eu/tls/https.pem", "$eu/tls/https.key");
    append("$eu/unit.env", "PUNIT_HTTPS_CERT=$eu/tls/https.pem\n");
    ($status, $output) = $units->punitctl('eu', 'certificates');
    like($output, qr/PUNIT_HTTPS_KEY names no key/, 'without a key it has a problem');
    append("$eu/unit.env", "PUNIT_HTTPS_KEY=$eu/tls/https.key\n");
    renew('eu', 30, "$eu/tls/unit.pem", "$eu/tls/unit.key");
    ($status, $output) = $units->punitctl('eu', 'certificates');
    ok($status == 0 && $output =~ /^https +CN=www\.example\.org .* (?:59|60) /m, 'it is listed')
        or diag($output);
};

subtest 'roles' => sub {
    my $password = 'correct horse battery';
    my $ada = $units->http('eu', POST => '/auth/register', undef,
        { email => 'ada@example.org', password => $password, name => 'Ada' })->{json};
    my $roles = sub {
        my ($token) = @_;
        return join ' ', @{ decode_json(decode_base64url((split /\./, $token)[1]))->{roles} };
    };
    my $login = sub {
        return $units->http('eu', POST => '/auth/login', undef,
            { email => 'ada@example.org', password => $password })->{json}{access_token};
    };
    ($status, $output) = $units->punitctl('eu', 'user', 'grant', 'ada@example.org', 'editor');
    ok($status == 0 && $output =~ /has the roles: user editor$/m, 'user grant') or diag($output);
    my $token = $login->();
    is($roles->($token), 'user editor', 'the next token carries the role');
    like(($units->punitctl('eu', 'user', $ada->{user_id}))[1], qr/^roles user editor$/m,
        'user shows it');
    like(($units->punitctl('us', 'user', $ada->{user_id}))[1], qr/^roles user editor$/m,
        'at each unit');
    ($status, $output) = $units->punitctl('eu', 'user', 'grant', 'ada@example.org', 'king');
    ok($status == 1 && $output =~ /no role king; the roles are user, coach and editor/,
        'an unknown role is refused')
        or diag($output);
    ok(
        wait_until(
            sub {
                ($status, $output) =
                    $units->punitctl('us', 'user', 'grant', $ada->{user_id}, 'coach');
                $output =~ /unit eu owns/;
            },
            15
        ),
        'another unit says who owns the user'
    ) or diag($output);
    is($status, 1, 'exit code 1');
    ($status, $output) = $units->punitctl('eu', 'user', 'revoke', 'ada@example.org', 'editor');
    ok($status == 0 && $output =~ /has the roles: user$/m, 'user revoke') or diag($output);
    ok(wait_until(sub { $units->http('eu', GET => '/profile', $token)->{status} == 401 }, 15),
        'tokens that carry it end');
    is($roles->($login->()), 'user', 'the next one does not carry it');
};

done_testing;
