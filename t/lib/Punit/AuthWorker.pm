package Punit::AuthWorker;

# The auth worker of one unit, with keys and pepper of its own, on a unit's test database.
#
#   my $eu = Punit::AuthWorker->new($pg);
#   my $a  = $eu->post('/auth/register', { email => ..., password => ..., name => ... });
#   $a->{status}, $a->{json}{access_token}, $a->{headers}{'punit-owner'}
#   $eu->get('/auth/sessions', Punit::AuthWorker::as($a->{json}{access_token}));

use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA qw(hmac_sha256);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use Test::More ();

my @dirs;
my $test_pid = $$;

# before Punit::Process is loaded, so that it runs after the workers have ended and their logs were looked at
END {
    if ($$ == $test_pid && !$? && eval { Test::More->builder->is_passing }) {
        local $?;
        remove_tree(@dirs);
    }
}

use Punit::FastCGI;
use Punit::Process;

my $pepper = '42' x 32;     # the same in all units

# pg: Punit::Postgres; keys => DIR: where the public keys of all units are; env => {...}: further variables
sub new {
    my ($class, $pg, %o) = @_;
    my $dir = tempdir('punit-auth-XXXXXX', DIR => '/tmp');
    push @dirs, $dir;
    # memcached, which runs as this user, may put its socket here
    if ($> == 0) {
        chown((getpwnam 'punit')[2, 3], $dir) or croak "chown: $!";
    }
    my $self = bless { unit => $pg->unit, dir => $dir, keys => $o{keys} // "$dir/keys" }, $class;
    make_path("$dir/private", $self->{keys});
    open my $f, '>', "$dir/private/pepper" or die;
    print $f "$pepper\n";
    close $f;
    $self->add_key(1);
    $self->{process} = Punit::Process->worker('auth', $dir,
        PUNIT_UNIT => $pg->unit, PUNIT_DIR => $dir, PUNIT_PG => $pg->conninfo, PUNIT_GRID => '', PUNIT_TOKEN_GRID => '',
        PUNIT_PRIVATE => "$dir/private", PUNIT_KEYS => $self->{keys}, %{ $o{env} // {} });
    $self->{fcgi} = Punit::FastCGI->new("$dir/auth.sock");
    return $self;
}

sub dir     { $_[0]{dir} }
sub process { $_[0]{process} }
sub fcgi    { $_[0]{fcgi} }

# Makes key <unit>-<n>; a worker that runs reads it when it starts again.
sub add_key {
    my ($self, $n) = @_;
    my $kid = "$self->{unit}-$n";
    my $private = "$self->{dir}/private/$kid.ES256.key.pem";
    system("openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $private"
         . " && openssl pkey -in $private -pubout -out $self->{keys}/$kid.ES256.pem") == 0 or croak 'openssl';
    return $self;
}

sub again {
    my ($self) = @_;
    $self->{process}->stop;
    $self->{process}->again->listening("$self->{dir}/auth.sock");
    return $self;
}

# params: FastCGI parameters, as() gives those of a token
sub get    { my ($self, $path, %p) = @_; return $self->call(GET => $path, undef, %p) }
sub post   { my ($self, $path, $body, %p) = @_; return $self->call(POST => $path, $body, %p) }
sub delete { my ($self, $path, %p) = @_; return $self->call(DELETE => $path, undef, %p) }

sub call {
    my ($self, $method, $path, $body, %params) = @_;
    ($path, my $query) = split /\?/, $path, 2;
    return $self->{fcgi}->request($method, $path, query => $query, body => $body, params => \%params);
}

# The parameters by which the module tells a worker who asks with this access token.
sub as {
    my ($token) = @_;
    my $c = claims($token);
    return (PUNIT_USER => $c->{sub}, PUNIT_JTI => $c->{jti}, PUNIT_GEN => $c->{gen}, PUNIT_EPOCH => $c->{epoch},
        PUNIT_ROLES => join(' ', @{ $c->{roles} }), PUNIT_CLAIM_SID => $c->{sid}, PUNIT_CLAIM_EXP => $c->{exp},
        PUNIT_CLAIM_IAT => $c->{iat}, PUNIT_CLAIM_UNIT => $c->{unit});
}

sub claims { return decode_json(decode_base64url((split /\./, $_[0])[1])) }
sub head   { return decode_json(decode_base64url((split /\./, $_[0])[0])) }

# The keyed hash that stands for an address in the directory, as hex for decode(?, 'hex').
sub hash { return unpack 'H*', hmac_sha256(lc $_[0], pack 'H*', $pepper) }

1;
