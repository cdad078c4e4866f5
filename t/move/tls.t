#!/usr/bin/perl
# Movers talk to peers over TLS with certificates both ways.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use Punit::Crossing;
use Test::More;

# Keys of a CA and of units; the movers of the test run as whoever runs it.
my $dir = tempdir('punit-tls-XXXXXX', DIR => '/tmp', CLEANUP => 1);
sub openssl { system("cd $dir && openssl @_ >>openssl.log 2>&1") == 0 or die "openssl @_: see $dir/openssl.log" }
openssl('req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca');
for my $unit (qw(eu us)) {
    openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $unit.key -out $unit.csr -subj /CN=$unit");
    open my $f, '>', "$dir/$unit.ext" or die;
    print $f "subjectAltName=DNS:$unit\n";
    close $f;
    openssl("x509 -req -in $unit.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $unit.ext -out $unit.pem");
    chmod 0600, "$dir/$unit.key";
}

sub tls { my ($unit) = @_; return { ca => "$dir/ca.pem", cert => "$dir/$unit.pem", key => "$dir/$unit.key" } }
sub env {
    my ($unit) = @_;
    return (PUNIT_TLS_CERT => "$dir/$unit.pem", PUNIT_TLS_KEY => "$dir/$unit.key", PUNIT_TLS_CA => "$dir/ca.pem");
}

my $x = Punit::Crossing->new({ unit => 'eu', tls => tls('eu') }, { unit => 'us', tls => tls('us') });
$x->mover('eu', env('eu'));
my $us = $x->mover('us', env('us'));

subtest 'a user moves over TLS and back' => sub {
    my $u = $x->user(eu => 10);
    is $x->cross(eu => us => $u)->{rows_sent}, 10, 'there';
    is $x->one(eu => q{select bool_and(s.ssl and s.client_dn = '/CN=us') from pg_stat_ssl s join pg_stat_activity a using (pid)
        where a.usename = 'punit_peer_us'}), 1, 'with the certificate of us';
    is $x->cross(us => eu => $u)->{rows_sent}, 0, 'and back';
};

subtest 'a certificate of another unit does not log in as this one' => sub {
    my $u = $x->user(eu => 1);
    $us->stop;
    delete $x->{mover}{us};
    $us = $x->mover('us', env('eu'));
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until('the refusal', sub { $us->text =~ /event=peer-away peer=eu error=.*certificate authentication failed/ });
    is $x->state(eu => $u), 'OWNED 1', 'he stays';
};

subtest 'a peer whose certificate names another unit is not believed' => sub {
    my $u = $x->user(eu => 1);
    $us->stop;
    delete $x->{mover}{us};
    $us = $x->mover('us', env('us'));
    $x->db('us')->do(q{update punit.peer set pg = replace(pg, 'host=eu', 'host=ap')});
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until('the refusal', sub { $us->text =~ /event=peer-away peer=eu error=.*does not match host name/ });
    is $x->state(eu => $u), 'OWNED 1', 'he stays';
};

done_testing;
