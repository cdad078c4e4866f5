package Punit::Authority;

# A certificate authority of a test's own, in a directory.
#
#   my $ca = Punit::Authority->new($dir, 'ca');  # ca.pem, ca.key: good for a server `ca` too
#   my $ca = Punit::Authority->new($dir, 'ca', days => 90);     # and good for so long, not 2 days
#   my $ca = Punit::Authority->of($dir, 'ca');   # one whose ca.pem and ca.key stand there already
#   $ca->certify('eu');                               # eu.pem, eu.key: CN and DNS name eu
#   $ca->certify('forged', 'eu');                     # forged.pem: of the same name
#   $ca->certify('site', 'site', 'IP:10.1.0.1');      # good for that address, too
#   $ca->files('eu')  # { ca, cert, key }, as Punit::Postgres takes them
#   $ca->environment('eu')  # PUNIT_TLS_CERT and the others, as programs take them

use strict;
use warnings;
use Carp qw(croak);

use Punit::Command qw(capture);
use Punit::File qw(spew);

my @key = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);

sub new {
    my ($class, $dir, $name, %o) = @_;
    my $self = $class->of($dir, $name, %o);
    _openssl(
        'req', '-x509', @key, '-days', $self->{days}, '-subj', "/CN=$name", '-keyout',
        "$dir/$name.key",
        '-out', "$dir/$name.pem"
    );
    return $self;
}

# The authority whose files stand in the directory.
sub of {
    my ($class, $dir, $name, %o) = @_;
    return bless { dir => $dir, name => $name, days => $o{days} // 2 }, $class;
}

sub certify {
    my ($self, $file, $cn, @more) = @_;
    $cn //= $file;
    my $names = join ',', "DNS:$cn", @more;
    my ($to, $ca) = map {"$self->{dir}/$_"} $file, $self->{name};
    spew("$to.ext", "subjectAltName=$names\n");
    _openssl('req', '-new', @key, '-subj', "/CN=$cn", '-keyout', "$to.key", '-out', "$to.csr");
    _openssl(
        'x509', '-req', '-in', "$to.csr", '-CA', "$ca.pem", '-CAkey', "$ca.key", '-CAcreateserial',
        '-days', $self->{days},
        '-extfile', "$to.ext", '-out', "$to.pem"
    );
    chmod 0600, "$to.key";
    return $self;
}

sub files {
    my ($self, $file) = @_;
    my $dir = $self->{dir};
    return { ca => "$dir/$self->{name}.pem", cert => "$dir/$file.pem", key => "$dir/$file.key" };
}

sub environment {
    my ($self, $file) = @_;
    my $f = $self->files($file);
    return (PUNIT_TLS_CERT => $f->{cert}, PUNIT_TLS_KEY => $f->{key}, PUNIT_TLS_CA => $f->{ca});
}

sub _openssl {
    my @arguments = @_;
    my ($status, $said) = capture('openssl', @arguments);
    croak "openssl @arguments: $said" if $status;
    return;
}

1;
