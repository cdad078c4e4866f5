#!/usr/bin/perl
# Restarts under systemd, on a machine with the packages, while clients write all the time: no
# request fails. systemd holds the sockets of NGINX. Through another unit, a write may stay without
# an answer, and is done once. PUNIT_DEBS names another folder of packages.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use File::Copy qw(copy);

use Punit::Authority;
use Punit::Command qw(capture);
use Punit::Machine qw(cannot own_network);
use Punit::Machine::Fronts;
use Punit::Machine::Image qw(image);
use Punit::Machine::Writer;
use Punit::Server qw(directory);
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::User;

if (my $why = cannot()) {
    $ENV{CI} ? BAIL_OUT("CI boots machines: $why") : plan skip_all => $why;
}
my $source = root();
if (!$ENV{PUNIT_DEBS}) {
    my ($status, $output) = capture('make', '-s', '-C', $source, 'deb');
    BAIL_OUT("make deb: $output") if $status;
}
my @debs = glob +($ENV{PUNIT_DEBS} // "$source/build/deb") . '/*.deb';
# made while there is a network
my $image = image(debs => \@debs);
own_network('10.0.0.1/8');

my $directory = directory('site');
my $authority = Punit::Authority->new($directory, 'ca');
$authority->certify('site', 'site.example.org', 'IP:10.1.0.1');

my ($eu, $us) = map {
    Punit::Machine->new(name => $_->[0], below => [$image], address => "$_->[1]/8")
} ['eu', '10.1.0.1'], ['us', '10.2.0.1'];

sub give {
    my ($machine, @files) = @_;
    for (@files) { copy($_, $machine->root . '/root') or BAIL_OUT("$_: $!") }
    return;
}
give($eu, @debs, "$directory/site.pem", "$directory/site.key");
$eu->start;

# Runs a line, which must succeed, at eu or another machine. Gives what it printed.
sub do_it {
    my ($line, $machine) = @_;
    my ($status, $output) = ($machine // $eu)->run($line);
    is($status, 0, $line) or BAIL_OUT($output);
    return $output;
}
my $install = 'apt-get install ./punit_*.deb ./libnginx*.deb';
do_it($install);
do_it('punitctl unit init eu --new --http 10.1.0.1:80 --peer 10.1.0.1:8443 --pg 10.1.0.1:5432'
        . ' --https [::1]:443 --https-cert site.pem --https-key site.key PUNIT_KEY_KEEP=1s'
        . ' PUNIT_HTTPS_REDIRECT=off PUNIT_AUTH_ADDRESS_BURST=10000');
do_it('systemctl enable --now punit.target');

sub all_run {
    my ($name) = @_;
    my @stopped = $eu->stopped_parts(60);
    is("@stopped", '', "each part of the unit runs $name")
        or diag map { ($eu->run("journalctl --no-pager --lines 8 --unit $_"))[1] } @stopped;
    return;
}
all_run('at first');

# ---- the sockets

sub held {
    my $output = do_it('systemctl show --property=Listen --value punit-nginx.socket');
    return [map { s/ \(Stream\)$//r } sort split /\n/, $output];
}

# Those of NGINX's sockets that systemd has too.
sub shared {
    my $output = do_it('ss --listening --tcp --unix --processes --numeric --no-header');
    return
        scalar grep { /"nginx"/ && /"systemd"/ }
        grep {m{:80 |:443 |:8443 |:84\d\d |admin\.sock}} split /\n/, $output;
}
is_deeply(
    held(),
    [qw(/var/lib/punit/sock/admin.sock 10.1.0.1:80 10.1.0.1:8443 127.0.0.1:8400 [::1]:443)],
    'systemd holds each address of NGINX'
);
is(shared(), 5, 'and NGINX has them of systemd');
is(do_it('stat --format "%U:%G %a" /var/lib/punit/sock/admin.sock'), "punit-web:punit-web 660\n",
    'nobody else may use the socket of the admin side');

# ---- clients that write all the time

my $fronts = Punit::Machine::Fronts->new(eu => 'http://10.1.0.1');
my (%writer, %user);

sub begin_writing {
    %user = map { $_ => Punit::User->register($fronts, 'eu') } qw(http https);
    $writer{http} =
        Punit::Machine::Writer->begin('http://10.1.0.1', $user{http}, "$directory/ca.pem");
    $writer{https} =
        Punit::Machine::Writer->begin('https://10.1.0.1', $user{https}, "$directory/ca.pem");
    return;
}

sub none_failed {
    my ($name) = @_;
    for my $scheme (qw(http https)) {
        my $said = $writer{$scheme}->end;
        cmp_ok(scalar @{ $said->{written} }, '>', 0, "a client wrote over $scheme");
        is_deeply($said->{failed}, [], "and no request failed $name");
        is_deeply(
            [sort $user{$scheme}->posts('eu')], [sort @{ $said->{written} }],
            'each write is there once'
        );
    }
    return;
}

# The address of HTTPS is one that comes later, too.
my $changed = do_it('punitctl unit init eu --https 10.1.0.1:443');
like($changed, qr/systemctl daemon-reload/, 'unit init says what systemd does not know');
my @follow = $changed =~ /(systemctl .*)$/mg;
is(scalar @follow, 3, 'in three lines');
do_it($_) for @follow;
all_run('after these');
is(shared(), 5, 'what it says makes systemd hold the new address');
is_deeply([grep {/443/} @{ held() }], [qw(10.1.0.1:443 10.1.0.1:8443)], 'and the old one no more');

begin_writing();
for (1 .. 3) {
    do_it('systemctl restart punit-nginx');
    do_it('sleep 1');
}
none_failed('while NGINX restarted');
is(shared(), 5, 'NGINX has its sockets of systemd again');

begin_writing();
for (1 .. 2) {
    do_it('systemctl restart punit.target');
    all_run('after a restart of all');
}
none_failed('while all of the unit restarted');
is(shared(), 5, 'NGINX has its sockets of systemd again');

begin_writing();
do_it("systemctl reload punit\@$_") for services(), qw(gridd mover);
do_it('logrotate --force /etc/logrotate.d/punit');
none_failed('while programs and logs became others');

do_it('punitctl keys rotate');
ok(
    $eu->succeeds('! test -e /var/lib/punit/keys/eu-1.ES256.pem', 90),
    'the mover removes a key after its last token'
);
my $reloads = 'journalctl --boot --unit punit@mover --grep event=keys-not-reloaded';
is(($eu->run($reloads))[0], 1, 'and may tell NGINX, which its sandbox hides');

# ---- a crash

# Master and workers die, also where systemd may not kill a control group, as in some containers.
sub crash {
    my $master = 'systemctl show --property=MainPID --value punit-nginx';
    do_it("p=\$($master); kill -KILL \$p \$(cat /proc/\$p/task/\$p/children)");
    return;
}
crash();
ok($eu->succeeds('punitctl peer us 2>&1 | grep -v "does not answer"'), 'NGINX comes back');
all_run('after a crash of NGINX');
is(shared(), 5, 'with its sockets of systemd');
do_it('systemctl stop punit-nginx.socket punit-nginx');
do_it('systemctl start punit-nginx');
all_run('if NGINX makes its sockets itself');
crash();
all_run('after a crash then');
my $admin = 'curl --silent --fail --unix-socket /etc/punit/sock/admin.sock http://localhost/live';
ok($eu->succeeds($admin), 'the socket of the admin side of a killed NGINX is not in the way');

# ---- clients that write through another unit

do_it($_)
    for 'systemctl stop punit-nginx', 'systemctl start punit-nginx.socket punit-nginx',
    'punitctl unit invite us --http 10.2.0.1:80 --peer 10.2.0.1:8443 --pg 10.2.0.1:5432';
is(shared(), 5, 'NGINX has its sockets of systemd once more');
give($us, @debs, $eu->root . '/root/us.invite');
$us->start;
do_it($_, $us)
    for $install, 'punitctl unit init --invited us.invite', 'systemctl enable --now punit.target';
do_it('punitctl mesh join');
# so that the users stay at eu
do_it('punitctl drain us', $us);
$fronts = Punit::Machine::Fronts->new(eu => 'http://10.1.0.1', us => 'http://10.2.0.1');

use constant CLIENTS => 4;

# While clients write at us, does the work again and again. Gives how many of their requests had no
# answer.
sub through_us {
    my ($times, $work) = @_;
    my @clients = map {
        my $user = Punit::User->register($fronts, 'eu');
        [$user, Punit::Machine::Writer->begin('http://10.2.0.1', $user, undef, repeats => 1)]
    } 1 .. CLIENTS;
    for (1 .. $times) {
        do_it('sleep 1');
        $work->();
    }
    do_it('sleep 1');
    my ($written, @unanswered) = (0);
    for (@clients) {
        my ($user, $writer) = @$_;
        my $said = $writer->end;
        is_deeply($said->{failed}, [], 'each write through us is acknowledged, if repeated');
        is_deeply([$user->posts('us')], $said->{written}, 'and each is there once');
        is($user->ask('us', GET => '/profile')->{route}, 'forward', 'at eu, as us forwards them');
        $written += @{ $said->{written} };
        push @unanswered, @{ $said->{repeated} };
    }
    note "$written writes, not answered: ", scalar @unanswered;
    note $_ for @unanswered;
    return scalar @unanswered;
}

# A request that is on its way to a worker that ends has no answer. Its repetition finds the next
# worker, on a connection that systemd has kept.
my $restarts = 5;
my $unanswered = through_us($restarts, sub { do_it('systemctl restart punit-nginx') });
cmp_ok($unanswered, '<=', $restarts * CLIENTS, 'a restart costs a client at most one repetition');

# What a killed NGINX had passed on is done without an answer.
$unanswered = through_us(
    $restarts,
    sub {
        crash();
        all_run('after a crash');
    }
);
cmp_ok($unanswered, '>', 0, 'a crash leaves requests without an answer');

is(
    ($eu->run('journalctl --boot --grep "status=31/SYS|code=killed, status=9"'))[1] =~ /SYS/,
    '', 'no system call has killed a process'
);
done_testing;
