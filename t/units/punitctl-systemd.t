#!/usr/bin/perl
# punitctl where systemd runs the unit. A bus of the test's own has a systemd1 that knows the unit's
# services.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Path qw(make_path);
use JSON::PP qw(decode_json);
use Test::More;

use Punit::Command qw(as_punit begin capture spawn);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory port_base);
use Punit::Tree qw(module program root);
use Punit::Wait qw(wait_until);

my ($daemon) = grep {-x} qw(/usr/bin/dbus-daemon);
plan skip_all => 'no dbus-daemon or Net::DBus'
    if !$daemon || !eval { require Net::DBus; 1 };

my $base = port_base();
my @port = map { $base + $_ } 0 .. 4;
my $dir = directory('systemd');
$ENV{PUNIT_MODULE} = module();
my ($status, $output) = capture(
    program('punitctl'), 'unit', 'init', 'eu', '--dir', "$dir/eu", '--ca', "$dir/ca",
    '--pepper', "$dir/pepper", '--http', "127.0.0.1:$port[1]", '--peer', "127.0.0.1:$port[2]",
    '--pg', "127.0.0.1:$port[3]"
);
is($status, 0, 'a unit') or BAIL_OUT($output);
symlink "$dir/eu", "$dir/link" or die $!;

spew("$dir/bus.conf", <<"END");
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$dir/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
END
my $bus = Punit::Server->new(
    cmd => [$daemon, '--nofork', "--config-file=$dir/bus.conf"],
    log => "$dir/bus.log", socket => "$dir/bus"
)->start;
$ENV{DBUS_SYSTEM_BUS_ADDRESS} = "unix:path=$dir/bus";

# ---- systemd1, as far as punitctl asks it; a file holds what it says
my $fake = spawn(
    [
        $^X, "-I$FindBin::Bin/../lib", '-MPunit::Systemd', '-e', 'Punit::Systemd::run(@ARGV)',
        "$dir/states", "$dir/fake"
    ],
    log => "$dir/fake.log"
);
END { if ($fake) { kill TERM => $fake; waitpid $fake, 0 } }
ok(wait_until(sub { -e "$dir/fake" }), 'a systemd1 is on the bus')
    or BAIL_OUT(slurp("$dir/fake.log", absent => ''));

# name => [ActiveState, MainPID, seconds since 1970, NRestarts, Result]
sub states {
    my ($environment, %services) = @_;
    spew("$dir/states.new", JSON::PP::encode_json({ environment => $environment, %services }));
    rename "$dir/states.new", "$dir/states" or die $!;
    return;
}

sub processes {
    my (undef, $text) = capture(program('punitctl'), 'status', '--json', '--dir', "$dir/eu");
    my ($json) = $text =~ /(^\{.*^\})/ms;
    my $all = eval { decode_json($json) } or diag($text);
    return map { $_->{name} => $_ } @{ $all->{processes} };
}

my %running = (
    'punit@gridd.service' => ['active', $$, 1_700_000_000, 3, 'success'],
    'punit@mover.service' => ['activating', 0, 0, 7, 'signal'],
    'punit@auth.service' => ['active', $$, 1_700_000_000, 0, 'success'],
    'punit-postgres.service' => ['active', $$, 1_700_000_100, 0, 'success'],
    'punit-nginx.service' => ['failed', 0, 0, 5, 'core-dump'],
);
states("$dir/link/unit.env", %running);
my %is = processes();
is_deeply(
    [@{ $is{gridd} }{qw(state pid restarts since)}],
    ['up', $$, 3, '2023-11-14T22:13:20Z'],
    'gridd, which has no socket, is up, with its pid, restarts and time'
);
cmp_ok($is{gridd}{up_s}, '>', 9e7, 'how long it runs is since systemd started it');
is("@{ $is{mover} }{qw(state restarts result)}", 'down 7 signal', 'a service that dies is down');
is("@{ $is{nginx} }{qw(state restarts result)}", 'down 5 core-dump', 'and so is one given up');
is($is{auth}{state}, 'silent', 'a service that runs and takes no connection is silent');
is("@{ $is{postgres} }{qw(state pid)}", "up $$", 'PostgreSQL has a service of its own name');
is($is{grid}{state}, 'down', 'a service that systemd does not know is down');

my (undef, $away) = capture(program('punitctl'), 'mesh', 'status', '--dir', "$dir/eu");
like($away, qr/See `journalctl --unit punit-postgres.service`$/m,
    'the log of PostgreSQL is in the journal');

# ---- the sockets that systemd made of NGINX's addresses
sub init {
    my @words = @_;
    my ($ended, $said) =
        capture(program('punitctl'), 'unit', 'init', 'eu', '--dir', "$dir/eu", @words);
    is($ended, 0, "unit init @words") or diag $said;
    return $said;
}
my $told = qr/systemctl daemon-reload\n.*systemctl stop punit-nginx.socket punit-nginx\n/;
unlike(init(), $told, 'while all addresses of NGINX stay, the operator need not do anything');
like(init('--admin', "127.0.0.1:$port[4]"), $told, 'systemd must be told of another address');
like(init('PUNIT_ADMIN=off'), $told, 'and of one that is gone');
unlike(init('PUNIT_ADMIN=off'), $told, 'but not again');
my $generator = root() . '/conf/systemd-generators/punit-generator';

# The addresses of the socket that the generator makes.
sub generated {
    my @listens = @_;
    local $ENV{PUNIT_DIR} = "$dir/generator";
    make_path("$dir/generator/nginx/unit", "$dir/generated");
    spew("$dir/generator/nginx/unit/public.conf", map {"    listen   $_;\n"} @listens);
    unlink "$dir/generated/punit-nginx.socket";
    my ($ended, $said) = capture($generator, "$dir/generated");
    is("$ended $said", '0 ', 'the generator works') or return '';
    my $socket = slurp("$dir/generated/punit-nginx.socket", absent => '');
    return join ' ', $socket =~ /^ListenStream=(.*)$/mg;
}
is(
    generated('10.1.0.1:80', '[2001:db8::1]:443 ssl http2', 'unix:/var/lib/punit/sock/admin.sock'),
    '10.1.0.1:80 [2001:db8::1]:443 /var/lib/punit/sock/admin.sock',
    'the generator makes a socket of IPv4, IPv6 and of the admin side'
);
is(generated('127.0.0.1:80', '0.0.0.0:80', '[::1]:80'),
    '0.0.0.0:80 [::1]:80', 'an address of all hosts has those of its family');
is(generated('eu.example.org:80', 'unix:/etc/cron.d/x', '10.1.0.1:80|x'),
    '', 'and none of a name, or of what is no address');
{
    local $ENV{PUNIT_DIR} = "$dir/eu";
    is((capture($generator, "$dir/generated"))[0], 0, 'of what unit init wrote');
    is(
        join(' ', slurp("$dir/generated/punit-nginx.socket") =~ /^ListenStream=(.*)$/mg),
        "127.0.0.1:$port[1] 127.0.0.1:$port[2] $dir/eu/sock/admin.sock",
        'it makes all of the sockets'
    );
}

states('/nonexistent/unit.env', %running);
unlike(init('--admin', "127.0.0.1:$port[4]"), $told, 'of another unit systemd knows nothing');
%is = processes();
is($is{gridd}{state}, 'down', 'services of another directory say nothing about this unit');
ok(!defined $is{gridd}{restarts}, 'nobody counts restarts then');

kill TERM => $fake;
waitpid $fake, 0;
undef $fake;
%is = processes();
like((capture(program('punitctl'), 'mesh', 'status', '--dir', "$dir/eu"))[1],
    qr{See $dir/eu/log/postgres.log$}m, 'and the log of PostgreSQL is a file');
is($is{gridd}{state}, 'down', 'without systemd on the bus the answer comes from the files');

done_testing;
