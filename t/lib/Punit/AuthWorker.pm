package Punit::AuthWorker;

# The auth worker of one unit, with keys and pepper of its own, on a unit's test database.
#
#   my $eu = Punit::AuthWorker->new($pg);
#   my $a  = $eu->post('/auth/register', { email => ..., password => ..., name => ... });
#   $a->{status}, $a->{json}{access_token}, $a->{headers}{'punit-owner'}
#   $eu->get('/auth/sessions', Punit::AuthWorker::as($a->{json}{access_token}));

use strict;
use warnings;
use parent qw(Punit::Worker);
use Carp qw(croak);
use Digest::SHA qw(hmac_sha256);
use File::Path qw(make_path);
use JSON::PP;
use MIME::Base64 qw(decode_base64url);

use Punit::File qw(spew);
use Punit::Server qw(directory);

my $pepper = '42' x 32;    # the same in all units

# pg: Punit::Postgres; keys => DIR: where the public keys of all units are; env => {...}: further
# variables
sub new {
    my ($class, $pg, %o) = @_;
    my $dir = directory('auth');
    my $keys = $o{keys} // "$dir/keys";
    make_path("$dir/private", $keys);
    spew("$dir/private/pepper", "$pepper\n");
    _make_key("$dir/private", $keys, $pg->unit . '-1');
    my $self = $class->SUPER::new(
        $pg, 'auth',
        PUNIT_DIR => $dir, PUNIT_GRID => '', PUNIT_TOKEN_GRID => '',
        PUNIT_PRIVATE => "$dir/private",
        PUNIT_KEYS => $keys, %{ $o{env} // {} });
    @$self{qw(unit keys)} = ($pg->unit, $keys);
    return $self;
}

# Makes key <unit>-<n>; a worker that runs reads it when it starts again.
sub add_key {
    my ($self, $n) = @_;
    _make_key($self->dir . '/private', $self->{keys}, "$self->{unit}-$n");
    return $self;
}

sub _make_key {
    my ($private, $public, $kid) = @_;
    my $file = "$private/$kid.ES256.key.pem";
    system(
        "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $file"
            . " && openssl pkey -in $file -pubout -out $public/$kid.ES256.pem"
    ) == 0 or croak 'openssl';
    return;
}

# params: FastCGI parameters, as() gives those of a token
sub call {
    my ($self, $method, $path, $body, %params) = @_;
    ($path, my $query) = split /\?/, $path, 2;
    return $self->request($method, $path, query => $query, body => $body, params => \%params);
}

# The parameters by which the module tells a worker who asks with this access token.
sub as {
    my ($token) = @_;
    my $c = claims($token);
    return (
        PUNIT_USER => $c->{sub}, PUNIT_JTI => $c->{jti}, PUNIT_GEN => $c->{gen},
        PUNIT_EPOCH => $c->{epoch},
        PUNIT_ROLES => join(' ', @{ $c->{roles} }), PUNIT_CLAIM_SID => $c->{sid},
        PUNIT_CLAIM_EXP => $c->{exp},
        PUNIT_CLAIM_IAT => $c->{iat}, PUNIT_CLAIM_UNIT => $c->{unit});
}

sub claims { return decode_json(decode_base64url((split /\./, $_[0])[1])) }
sub head { return decode_json(decode_base64url((split /\./, $_[0])[0])) }

# The keyed hash that stands for an address in the directory, as hex for decode(?, 'hex').
sub hash { return unpack 'H*', hmac_sha256(lc $_[0], pack 'H*', $pepper) }

1;
