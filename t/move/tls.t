#!/usr/bin/perl
# Movers talk to peers over TLS with certificates both ways.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Authority;
use Punit::MoveUnits;
use Punit::Server qw(directory);
use Test::More;

my $ca = Punit::Authority->new(directory('tls'), 'ca');
$ca->certify($_) for qw(eu us);

my $x = Punit::MoveUnits->new({ unit => 'eu', tls => $ca->files('eu') },
    { unit => 'us', tls => $ca->files('us') });
$x->mover('eu', $ca->environment('eu'));
my $us = $x->mover('us', $ca->environment('us'));

subtest 'a user moves over TLS and back' => sub {
    my $u = $x->user(eu => 10);
    is $x->cross(eu => us => $u)->{rows_sent}, 10, 'there';
    is $x->one(
        eu =>
            q{select bool_and(s.ssl and s.client_dn = '/CN=us') from pg_stat_ssl s
                join pg_stat_activity a using (pid)
        where a.usename = 'punit_peer_us'}
        ),
        1, 'with the certificate of us';
    is $x->cross(us => eu => $u)->{rows_sent}, 0, 'and back';
};

subtest 'a certificate of another unit does not log in as this one' => sub {
    my $u = $x->user(eu => 1);
    $us->stop;
    delete $x->{mover}{us};
    $us = $x->mover('us', $ca->environment('eu'));
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until(
        'the refusal',
        sub { $us->log_text =~ /event=peer-away peer=eu error=.*certificate authentication failed/ }
    );
    is $x->state(eu => $u), 'OWNED 1', 'the user stays';
};

subtest 'a peer with a certificate of another unit is not believed' => sub {
    my $u = $x->user(eu => 1);
    $us->stop;
    delete $x->{mover}{us};
    $us = $x->mover('us', $ca->environment('us'));
    $x->db('us')->do(q{update punit.peer set pg = replace(pg, 'host=eu', 'host=ap')});
    $us->foreign($u, 'eu', 1, 2);
    $x->wait_until('the refusal',
        sub { $us->log_text =~ /event=peer-away peer=eu error=.*does not match host name/ });
    is $x->state(eu => $u), 'OWNED 1', 'the user stays';
};

done_testing;
