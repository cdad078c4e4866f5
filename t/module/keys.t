# punit_keys and punit_jwks: what is taken, what fails nginx -t and with which words, and changing
# keys by reload.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64url);

use Punit::Client;
use Punit::File qw(slurp spew);
use Punit::Nginx;

my $n = Punit::Nginx->new;
my $dir = $n->dir;
my $port = $n->port('http');


sub conf {
    my ($keys) = @_;
    return <<"CONF";
    punit_zone punit 4m;
    punit_unit eu;
    $keys
    punit_token_check off;
    server {
        listen 127.0.0.1:$port;
        location /training/ { punit_scope reference; punit_local \@local; }
        location \@local { return 200 "\$punit_user \$punit_claim_level"; }
    }
CONF
}

# what nginx -t says: "" if it is content
sub check {
    my ($keys) = @_;
    my ($ok, $said) = $n->check(conf($keys));
    return $ok ? '' : $said;
}

# a fresh directory with one good key and the files given
my $count = 0;

sub keys_dir {
    my (%files) = @_;
    my $d = "$dir/keys" . $count++;
    mkdir $d;
    spew("$d/$_", $files{$_}) for keys %files;
    return $d;
}

sub generate {
    my (@how) = @_;
    system(qw(openssl genpkey -quiet), '-out', "$dir/private.pem", @how) == 0
        or system("openssl genpkey -out $dir/private.pem @how 2>/dev/null") == 0
        or die 'openssl';
    return (slurp("$dir/private.pem"), scalar qx(openssl pkey -in $dir/private.pem -pubout));
}

sub ec { return generate('-algorithm', 'EC', '-pkeyopt', "ec_paramgen_curve:$_[0]") }

my ($private, $p256) = ec('P-256');
my (undef, $p384) = ec('P-384');
my (undef, $p521) = ec('P-521');
my (undef, $ed) = generate('-algorithm', 'ed25519');
my (undef, $rsa) = generate('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048');
my (undef, $rsa1024) = generate('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024');
my $secret = 'x' x 32;

subtest 'every algorithm has its kind of key' => sub {
    is check(
        'punit_keys ' . keys_dir(
            'eu-1.ES256.pem' => $p256, 'eu-2.ES384.pem' => $p384, 'us-1.ES512.pem' => $p521,
            'a.EdDSA.pem' => $ed,
            (map { ("r.$_.RS$_.pem" => $rsa, "p.$_.PS$_.pem" => $rsa) } 256, 384, 512),
            's.HS256.secret' => $secret
            )
            . ';'
        ),
        '';
};

subtest 'what is no key by its name is left alone' => sub {
    is check( 'punit_keys '
            . keys_dir('eu-1.ES256.pem' => $p256, '.eu-2.ES256.pem.swp' => 'x', 'README' => 'x')
            . ';'), '';
};

subtest 'a key that cannot be used fails with its file and what was expected' => sub {
    my @cases = (
        ['eu-1.ES256.pem', $p384, qr/its curve does not fit ES256, expected P-256/],
        ['eu-1.RS256.pem', $p256, qr/its type, EC, does not fit RS256/],
        ['eu-1.ES256.pem', $ed, qr/its type, ED25519, does not fit ES256/],
        ['eu-1.RS256.pem', $rsa1024, qr/1024 bits, expected at least 2048/],
        ['eu-1.ES256.pem', $private, qr/this is a private key, which does not belong here/],
        ['eu-1.ES256.pem', "$p256$private", qr/more than one PEM/],
        ['eu-1.ES256.pem', 'nonsense', qr/no PEM found, expected a public key/],
        ['eu-1.ES256.pem', '', qr/expected to be a file of 1 to 65536 bytes/],
        ['s.HS256.secret', 'short', qr/the secret has 5 bytes, expected at least 32/],
        ['eu-1.ES255.pem', $p256, qr/invalid name of key/],
        ['eu-1.pem', $p256, qr/invalid name of key/],
        ['pem.pem', $p256, qr/invalid name of key/],
        ['s.HS256.pem', $p256, qr/invalid name of key/],
        ['s.ES256.secret', $secret, qr/invalid name of key/],
    );
    for my $c (@cases) {
        my ($file, $text, $why) = @$c;
        my $d = keys_dir($file => $text);
        my $out = check("punit_keys $d;");
        like $out, qr/\[emerg\].*$why/, "$file: $why";
        like $out, qr/\Q$d\/$file\E/, 'named';
        unlike $out, qr/PRIVATE KEY-----|nonsense/, 'nothing of the file is shown';
    }
};

subtest 'no directory, no key and no file are mistakes' => sub {
    like check("punit_keys $dir/none;"),
        qr/\[emerg\].*"\Q$dir\E\/none" failed, expected a directory of keys .*in .*nginx\.conf:\d/;
    like check('punit_keys ' . keys_dir() . ';'), qr/\[emerg\] no key in .*expected files named/;
    like check("punit_jwks $dir/none;"), qr/\[emerg\].*"\Q$dir\E\/none" failed/;
};

my $jwk_ec = '{"kty":"EC","crv":"P-256","kid":"eu-9","use":"sig",'
    . '"x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",'
    . '"y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"}';

subtest 'a JWK Set is taken, keys for something else in it are passed over' => sub {
    spew("$dir/set.json",
        qq({"keys":[$jwk_ec,{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"},{"kty":"new"}]}));
    is check("punit_jwks $dir/set.json;"), '';
    is check("punit_jwks $dir/set.json; punit_keys " . keys_dir('eu-1.ES256.pem' => $p256) . ';'),
        '', 'beside a directory';
};

subtest 'a JWK Set that cannot be used fails with its file, the key and what was expected' => sub {
    my @cases = (
        ['{"keys":[', qr/it is not JSON: line 1/],
        ['[]', qr/expected a JWK Set/],
        ['{"keys":[]}', qr/no key in .*\(0 skipped\)/],
        ['{"keys":[{"kty":"new"}]}', qr/no key in .*\(1 skipped\)/],
        ['{"keys":[{"kty":"oct","alg":"HS256","k":"AA"}]}', qr/key 1: it is symmetric/],
        [
            qq({"keys":[$jwk_ec,) . ($jwk_ec =~ s/eu-9","/eu-8","d":"AA","/r) . ']}',
            qr/key 2: it is a private key/
        ],
        ['{"keys":[' . ($jwk_ec =~ s/"eu-9"/9/r) . ']}', qr/no key in .*\(1 skipped\)/],
        [qq({"keys":[$jwk_ec,$jwk_ec]}), qr/duplicate key "eu-9"/],
        ['{"keys":[' . ($jwk_ec =~ s/nVgmw/nVgnw/r) . ']}', qr/no key in .*\(1 skipped\)/],
        ['{"keys":[{"kty":"EC","kty":"EC"}]}', qr/it is not JSON.*duplicate/i],
    );
    for my $c (@cases) {
        spew("$dir/set.json", $c->[0]);
        like check("punit_jwks $dir/set.json;"), qr/\[emerg\].*$c->[1]/, "$c->[1]";
    }
    spew("$dir/set.json", qq({"keys":[$jwk_ec]}));
    like check("punit_jwks $dir/set.json; punit_keys " . keys_dir('eu-9.ES256.pem' => $p256) . ';'),
        qr/\[emerg\] duplicate key "eu-9" in /, 'a kid that a directory has too';
};

subtest 'one broken key is skipped with a warning that names it, the others are taken' => sub {
    my $rsa = sub {
        my ($bits) = @_;
        my ($n) = qx(openssl genrsa $bits 2>$dir/null | openssl rsa -noout -modulus 2>$dir/null)
            =~ /Modulus=([0-9A-F]+)/;
        return sprintf '{"kty":"RSA","kid":"rsa-%d","n":"%s","e":"AQAB"}', $bits,
            encode_base64url(pack 'H*', $n);
    };
    my @bad = (
        [$rsa->(1024), qr/key 1: .*1024/],
        [$jwk_ec =~ s/nVgmw/nVgnw/r, qr/key 1: its members make no EC key/],
        [$jwk_ec =~ s/nVgmw/nVgmw=/r, qr/key 1: its members make no EC key/],
        [$jwk_ec =~ s/"P-256"/"P-256","alg":"ES384"/r, qr/key 1: its members make no EC key/],
        [$jwk_ec =~ s/"eu-9"/9/r, qr/key 1: "kid" is no string/],
        ['{"crv":"P-256"}', qr/key 1: no "kty"/],
        ['7', qr/key 1: no "kty"/],
    );
    for my $c (@bad) {
        spew("$dir/set.json", qq({"keys":[$c->[0],$jwk_ec]}));
        my ($ok, $out) = $n->check(conf("punit_jwks $dir/set.json;"));
        like $out, qr/\[warn\] a key of "\Q$dir\E\/set\.json" is skipped: $c->[1]/, "$c->[1]";
        ok $ok, 'NGINX starts';
    }
    spew("$dir/set.json", '{"keys":[' . join(',', map { $_->[0] } @bad) . ']}');
    like check("punit_jwks $dir/set.json;"), qr/\[emerg\] no key in .*\(7 skipped\)/,
        'no good key at all is a mistake';
};

subtest 'an OKP key of the algorithm Ed25519 is one of EdDSA (RFC 9864)' => sub {
    my $okp = '{"kty":"OKP","crv":"Ed25519","kid":"ed","alg":"Ed25519",'
        . '"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}';
    spew("$dir/set.json", qq({"keys":[$okp]}));
    is check("punit_jwks $dir/set.json;"), '';
};

# ---- rotation

sub token {
    my ($kid, $key, %more) = @_;
    my $now = time;
    my $more = join '', map {qq(,"$_":"$more{$_}")} keys %more;
    my $input = encode_base64url(qq({"alg":"HS256","typ":"at+jwt","kid":"$kid"})) . '.'
        . encode_base64url(sprintf '{"sub":"u1","jti":"j","iat":%d,"exp":%d,"unit":"eu"%s}',
        $now - 5, $now + 60, $more);
    return "$input." . encode_base64url(hmac_sha256($input, $key));
}

sub ask {
    my ($token) = @_; return Punit::Client->once($port, GET => '/training/x', token => $token)
}
sub get { return ask(@_)->{status} }

my $keys = keys_dir('eu-1.HS256.secret' => 'a' x 32);
$n->http(conf("punit_keys $keys;"))->start;

subtest
    'a reload takes a new key and drops an old one, and tokens of the key that stays are good'
    => sub {
    my $first = token('eu-1', 'a' x 32);
    my $second = token('eu-2', 'b' x 32);
    is get($first), 200;
    is get($second), 401, 'not known yet';
    spew("$keys/eu-2.HS256.secret", 'b' x 32);
    $n->reload;
    is get($second), 200, 'the new one';
    is get($first), 200, 'the old one beside it';
    unlink "$keys/eu-1.HS256.secret";
    $n->reload;
    is get($first), 401, 'the old one is gone, though its verdict was kept';
    is get($second), 200;
    };

subtest 'a key that was replaced under its name no longer vouches for old tokens' => sub {
    my $old = token('eu-2', 'b' x 32);
    is get($old), 200;
    spew("$keys/eu-2.HS256.secret", 'c' x 32);
    $n->reload;
    is get($old), 401;
    is get(token('eu-2', 'c' x 32)), 200;
};

subtest 'a mistake at reload leaves the old keys in use' => sub {
    spew("$keys/eu-3.HS256.secret", 'short');
    $n->signal('HUP');
    $n->until(sub { $n->log_text =~ /the secret has 5 bytes/ },
        'has refused the new configuration');
    is get(token('eu-2', 'c' x 32)), 200;
    unlink "$keys/eu-3.HS256.secret";
};

subtest 'claims of a refused token are nobody\'s' => sub {
    is ask(token('eu-2', 'c' x 32, level => 7))->{body}, 'u1 7';
    is get(token('us-1', 'c' x 32, unit => 'us')), 401, 'two units';
    is get(token('eu-2', 'd' x 32)), 401;
};

unlike $n->log_text, qr/eyJ|aaaaaaaa|bbbbbbbb/, 'no token and no secret in the log';
like $n->stop, qr/\A[^\n]*\[emerg\][^\n]*the secret has 5 bytes[^\n]*\n\z/,
    'the log tells of the mistake and of nothing else';
done_testing;
