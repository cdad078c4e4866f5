#!/usr/bin/perl
# punitctl and the configuration of a running NGINX: it is in force, or punitctl says why not.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Test::More;

use Punit::Client;
use Punit::Command qw(as_punit capture);
use Punit::File qw(append slurp spew);
use Punit::Server;
use Punit::Units;
use Punit::Wait qw(wait_until);

plan skip_all => 'only root may give NGINX the right to a port below 1024' if $> != 0;

my $low = 843;
my $units = Punit::Units->start(units => ['eu', 'us'], excuse => qr/no_such_directive|bind\(\)/);
my $dir = $units->dir . '/eu';

# ---- NGINX as systemd starts it: of the unit's user, with the right to ports below 1024
$units->process('eu', 'nginx', 'down');
append("$dir/nginx/unit/public.conf", "listen 127.0.0.1:$low;\n");
my $nginx = Punit::Server->new(
    cmd => [
        as_punit(), '--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service',
        '/usr/sbin/nginx', '-p', "$dir/nginx/", '-e', "$dir/log/nginx.log", '-c', 'nginx.conf',
        '-g', 'daemon off;'
    ],
    log => "$dir/log/low.log", port => $low,
)->start;

# The peers of NGINX, as a new connection shows them: a worker that ends answers one more request of
# an old one.
sub peers {
    my $answer = Punit::Client->once($units->port('eu', 'admin'), GET => '/punit/status');
    return join ' ', sort map { $_->{id} } @{ $answer->{json}{peers} // [] };
}

# Makes us and these units known at eu, by a file that names them.
sub add {
    my @peers = @_;
    spew(
        "$dir/units",
        (map { my $u = $_; join(' ', $u, map { '127.0.0.1:' . $units->port($u, $_) }
                qw(http peer pg)) . "\n" } 'eu', 'us'),
        map {"$_ 127.0.0.1:9 127.0.0.1:9 127.0.0.1:9\n"} @peers
    );
    return $units->punitctl('eu', 'unit', 'add', "$dir/units");
}

my ($status, $output) = capture(
    as_punit(), '/usr/sbin/nginx', '-t', '-q', '-p', "$dir/nginx/", '-e', "$dir/log/other.log",
    '-c', 'nginx.conf'
);
SKIP: {
    skip 'every port is free to all here', 1
        if slurp('/proc/sys/net/ipv4/ip_unprivileged_port_start', absent => 1024) <= $low;
    like($output, qr/bind\(\).*Permission denied/, 'the unit\'s user may not bind the port');
}

($status, $output) = add('ap');
ok($status == 0 && $output =~ /has read its configuration again/,
    'unit add reloads an NGINX on a port below 1024')
    or diag($output);
is(peers(), 'ap us', 'the new peer is in force when unit add has ended');
is($nginx->alive, 1, 'the master is the same');

# ---- what NGINX refuses
my $main = slurp("$dir/nginx/nginx.conf");
append("$dir/nginx/nginx.conf", "no_such_directive on;\n");
($status, $output) = add('ap', 'sa');
is($status, 1, 'a configuration that NGINX refuses is a failure');
like(
    $output, qr/keeps the configuration that it has: unknown directive "no_such_directive"/,
    'NGINX\'s own reason is printed'
);
is(peers(), 'ap us', 'NGINX serves with the old one');
spew("$dir/nginx/nginx.conf", $main);

my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
my $public = slurp("$dir/nginx/unit/public.conf");
append("$dir/nginx/unit/public.conf", 'listen 127.0.0.1:' . $taken->sockport . ";\n");
($status, $output) = add('ap', 'na');
ok($status == 1 && $output =~ /still could not bind\(\)/, 'an address in use is a failure')
    or diag("$status: $output");
close $taken;
spew("$dir/nginx/unit/public.conf", $public);

($status, $output) = add('ap', 'sa');
is("$status " . peers(), '0 ap na sa us',
    'the same call succeeds once the configuration is good, and all peers are in force')
    or diag($output);

# ---- no NGINX
$nginx->stop('QUIT');
($status, $output) = add('ap');
ok($status == 0 && $output !~ /NGINX/, 'nothing is told to an NGINX that does not run')
    or diag($output);

done_testing;
