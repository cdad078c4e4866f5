# Tokens of an issuer that is not punit: libjwt signs them, and the module verifies them.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IPC::Open2 qw(open2);
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(decode_base64url);

use Punit::File qw(spew);
use Punit::Nginx;
use Punit::Tree qw(root);

my $source = root();
my $issuer = "$source/build/t/jwt_issue";
my $made = qx(make -s -C '$source' build/t/jwt_issue 2>&1);
-x $issuer or BAIL_OUT("build/t/jwt_issue: $made");

my $n = Punit::Nginx->new;
my $dir = $n->dir;
my $port = $n->port('http');
mkdir $_ for "$dir/keys", "$dir/private";

# ---- keys: the private ones for libjwt, the public ones for the module

sub run {
    my (@command) = @_;
    my $said = qx(@command 2>&1);
    $? == 0 or die "@command: $said";
    return;
}

sub make_key {
    my ($kid, $alg, @how) = @_;
    run('openssl genpkey -out', "$dir/private/$kid.pem", @how);
    publish($kid, $alg);
    return;
}

# The public half of a private key, under a name that says what the key is for.
sub publish {
    my ($kid, $alg, $as) = @_;
    $as //= $kid;
    run('openssl pkey -pubout -in', "$dir/private/$kid.pem", '-out', "$dir/keys/$as.$alg.pem");
    return;
}

my %curve = (ES256 => 'P-256', ES384 => 'P-384', ES512 => 'P-521');
make_key($_, $_, '-algorithm EC -pkeyopt', "ec_paramgen_curve:$curve{$_}") for sort keys %curve;
make_key($_, $_, '-algorithm RSA -pkeyopt rsa_keygen_bits:2048') for qw(RS256 RS384 RS512);
publish('RS256', 'RS512', 'other-use');
spew($_, 's' x 40) for "$dir/keys/HS256.HS256.secret", "$dir/private/HS256.pem";

# ---- tokens

# kid is the name of the key that the module looks up, key is the file that libjwt signs with.
sub token {
    my ($alg, %o) = @_;
    my $kid = $o{kid} // $alg;
    my $now = time;
    my %claims = (
        sub => "user-$alg", jti => 'j', iss => 'elsewhere', aud => ['punit'], unit => 'eu',
        iat => $now - 5, exp => $now + 600, %{ $o{claims} // {} },
    );
    my $key = $o{key} // "$dir/private/$kid.pem";
    my $pid = open2(my $out, my $in, $issuer, $alg, $key, $kid, $o{typ} // 'at+jwt');
    print {$in} encode_json(\%claims);
    close $in;
    chomp(my $token = <$out> // '');
    waitpid $pid, 0;
    $? == 0 or die "no token of $alg";
    return $token;
}

sub header { return decode_json(decode_base64url((split /[.]/, $_[0])[0])) }

sub ask { my ($token) = @_; return $n->ask(GET => '/training/x', token => $token) }

sub refused {
    my ($token, $verdict, $name) = @_;
    my $answer = ask($token);
    is "$answer->{status} $answer->{headers}{verdict}", "401 $verdict", $name;
    return;
}

$n->http(<<"CONF")->start;
    punit_zone punit 4m;
    punit_unit eu;
    punit_keys $dir/keys;
    punit_issuer elsewhere;
    punit_audience punit;
    punit_token_check off;
    server {
        listen 127.0.0.1:$port;
        add_header Verdict \$punit_verdict always;
        location /training/ { punit_scope reference; punit_local \@local; }
        location \@local { return 200 "\$punit_user"; }
    }
CONF

# libjwt before 1.12 writes JWT over any other type
my $keeps_typ = system('pkg-config --atleast-version=1.12 libjwt') == 0;

for my $alg (qw(HS256 RS256 RS384 RS512 ES256 ES384 ES512)) {
    my $token = token($alg);
    my $answer = ask($token);
    my $typ = $keeps_typ ? 'at+jwt' : 'JWT';
    is_deeply header($token), { alg => $alg, kid => $alg, typ => $typ }, "$alg: the header";
    is "$answer->{status} $answer->{body}", "200 user-$alg", "$alg: the token is accepted";
    refused(
        token($alg, claims => { exp => time - 600 }),
        'expired', "$alg: an expired token is refused"
    );
    my $spoiled = $token =~ s/[.]([^.]{9})(.)([^.]*)$/".$1" . ($2 eq 'A' ? 'B' : 'A') . $3/er;
    refused($spoiled, 'signature', "$alg: another signature is refused");
}
is ask(token('ES256', typ => 'JWT'))->{status}, 200, 'the type JWT is accepted';

subtest 'the algorithm is the key\'s, not the token\'s' => sub {
    refused(
        token('HS256', kid => $_, key => "$dir/keys/$_.$_.pem"),
        'algorithm', "HS256 with the public key of $_"
        )
        for qw(RS256 RS512 ES256 ES512);
    refused(
        token('RS256', kid => $_, key => "$dir/private/RS256.pem"),
        'algorithm', "RS256 under the key of $_"
        )
        for qw(RS384 ES256 HS256);
    refused(
        token('ES256', kid => $_, key => "$dir/private/ES256.pem"),
        'algorithm', "ES256 under the key of $_"
        )
        for qw(ES384 RS256 HS256);
    my %other_use = (kid => 'other-use', key => "$dir/private/RS256.pem");
    refused(token('RS256', %other_use), 'algorithm', 'RS256 with a key that is for RS512');
    is ask(token('RS512', %other_use))->{status}, 200, 'RS512 with that key is accepted';
    refused(token('none', kid => $_), 'algorithm', "no signature under the key of $_")
        for qw(HS256 RS256 ES256);
};

subtest 'a key vouches for its own tokens only' => sub {
    refused(token('RS256', key => "$dir/private/RS384.pem"), 'signature', 'another RSA key');
    my $stranger = "$dir/private/stranger.pem";
    run('openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out', $stranger);
    refused(token('ES256', kid => 'stranger'), 'key', 'an unpublished key');
    refused(token('ES256', key => $stranger), 'signature', 'an unpublished key under a known id');
    refused(
        token('ES256', kid => 'nobody', key => "$dir/private/ES256.pem"),
        'key', 'a known key under an unknown id: its signature is not checked'
    );
    refused(token('ES256', claims => { iss => 'punit' }), 'issuer', 'another issuer');
    refused(token('ES256', claims => { aud => 'else' }), 'audience', 'another audience');
};

unlike $n->log_text, qr/eyJ|ssssssss/, 'no token and no secret is in the log';
is $n->stop, '', 'the log tells of no fault';
done_testing;
