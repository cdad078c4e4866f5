package Punit::Token;

# Keys and access tokens for tests: ES256 and RS256 signed by `openssl dgst`, HS256 by Digest::SHA.
#
#   my $keys = Punit::Token->new("$dir/keys");     # a directory for punit_keys
#   $keys->es256('eu-1');                          # writes eu-1.ES256.pem
#   my $token = $keys->token(sub => $user, unit => 'eu', epoch => 1);
#   my $other = $keys->token(kid => 'us-1', unit => 'us', exp => time - 1);
#
# kid defaults to <unit>-1, and its key is made if it does not exist. A claim given as undef is left
# out.

use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA qw(hmac_sha256 sha256);
use File::Path qw(make_path);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

my $json = JSON::PP->new->canonical->utf8;

sub new {
    my ($class, $dir) = @_;
    make_path($dir, "$dir.private");
    return bless { dir => $dir, keys => {} }, $class;
}

sub dir { return $_[0]{dir} }

sub es256 {
    my ($self, $kid, %o) = @_;
    my $private = "$self->{dir}.private/$kid.pem";
    _run(qw(openssl ecparam -name prime256v1 -genkey -noout -out), $private);
    _run(qw(openssl ec -pubout -in), $private, '-out', "$self->{dir}/$kid.ES256.pem")
        unless $o{unpublished};
    $self->{keys}{$kid} = { alg => 'ES256', private => $private };
    return $self;
}

sub rs256 {
    my ($self, $kid) = @_;
    my $private = "$self->{dir}.private/$kid.pem";
    _run(qw(openssl genrsa -traditional -out), $private, '2048');
    _run(qw(openssl rsa -pubout -in), $private, '-out', "$self->{dir}/$kid.RS256.pem");
    $self->{keys}{$kid} = { alg => 'RS256', private => $private };
    return $self;
}

sub hs256 {
    my ($self, $kid, $secret) = @_;
    $secret //= join '', map { chr 33 + int rand 90 } 1 .. 48;
    _write("$self->{dir}/$kid.HS256.secret", $secret);
    $self->{keys}{$kid} = { alg => 'HS256', secret => $secret };
    return $self;
}

# A random uuid, version 4.
sub uuid {
    my @b = map { int rand 256 } 1 .. 16;
    $b[6] = $b[6] & 0x0f | 0x40;
    $b[8] = $b[8] & 0x3f | 0x80;
    return sprintf '%02x' x 4 . ('-' . '%02x' x 2) x 3 . '-' . '%02x' x 6, @b;
}

sub claims {
    my ($self, %o) = @_;
    my $now = time;
    my %claims = (
        iss => 'punit', aud => 'punit', sub => uuid(), jti => uuid(), sid => uuid(), iat => $now,
        exp => $now + 900,
        unit => 'eu', epoch => 1, gen => 0, roles => ['user'], %o,
    );
    delete $claims{$_} for grep { !defined $claims{$_} } keys %claims;
    return \%claims;
}

sub token {
    my ($self, %o) = @_;
    my $kid = delete $o{kid};
    my $head = delete $o{header};
    my $claims = $self->claims(%o);
    $kid //= ($claims->{unit} // 'eu') . '-1';
    $self->es256($kid) unless $self->{keys}{$kid};
    my $key = $self->{keys}{$kid};
    my $input = join '.', map { encode_base64url($json->encode($_)) }
        { alg => $key->{alg}, typ => 'at+jwt', kid => $kid, %{ $head // {} } }, $claims;
    return "$input."
        . encode_base64url(
        $key->{secret} ? hmac_sha256($input, $key->{secret}) : _signed($key, $input));
}

# Another signature: the last of its bits that count is turned over.
sub spoiled {
    my ($self, $token) = @_;
    my ($rest, $signature) = $token =~ /^(.*\.)([^.]+)$/ or croak 'not a token';
    substr($signature, 10, 1) =~ tr/A-Za-z0-9_-/B-ZAb-za1-90A_/;
    return "$rest$signature";
}

# An ECDSA signature is DER (SEQUENCE of two INTEGERs) and becomes r || s, RFC 7518, 3.4.
sub _signed {
    my ($key, $input) = @_;
    my $file = "$key->{private}.input";
    _write($file, $input);
    open my $p, '-|', qw(openssl dgst -sha256 -sign), $key->{private}, $file or croak "openssl: $!";
    binmode $p;
    my $signature = do { local $/; <$p> };
    close $p or croak 'openssl dgst failed';
    return $signature if $key->{alg} eq 'RS256';
    $signature =~ /\A\x30.\x02/s or croak 'not a signature';
    return join '', map { substr(("\0" x 32) . $_, -32) } _integers($signature);
}

sub _integers {
    my ($der) = @_;
    my ($at, @n) = (2);
    for (1 .. 2) {
        my $len = ord substr $der, $at + 1, 1;
        push @n, substr $der, $at + 2, $len;
        $at += 2 + $len;
    }
    return @n;
}

sub _write {
    my ($file, $data) = @_;
    open my $f, '>', $file or croak "$file: $!";
    binmode $f;
    print $f $data;
    close $f or croak "$file: $!";
    return;
}

sub _run {
    my @cmd = @_;
    open my $err, '>&', \*STDERR or croak $!;
    open STDERR, '>', '/dev/null' or croak $!;
    my $rc = system @cmd;
    open STDERR, '>&', $err or croak $!;
    croak "@cmd failed" if $rc;
    return;
}

1;
