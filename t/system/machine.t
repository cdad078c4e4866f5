#!/usr/bin/perl
# Units on machines of their own: Debian, booted by systemd-nspawn, the packages installed, and the
# lines of doc/OPERATIONS.md pasted in their order.
#
# PUNIT_DEBS names another folder of packages, and PUNIT_OPERATIONS another document, as
# t/system/mutants does.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);

use Punit::Authority;
use Punit::Command qw(capture);
use Punit::File qw(spew);
use Punit::Machine qw(cannot own_network);
use Punit::Machine::Document;
use Punit::Machine::Fronts;
use Punit::Machine::Image qw(image);
use Punit::Machine::Packages qw(next_release);
use Punit::Machine::Writer;
use Punit::Server qw(directory);
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::User;
use Punit::Wait qw(wait_until);

my $source = root();
if (my $why = cannot()) {
    $ENV{CI} ? BAIL_OUT("CI boots machines: $why") : plan skip_all => $why;
}
own_network('10.0.0.1/8');

if (!$ENV{PUNIT_DEBS}) {
    my ($status, $output) = capture('make', '-s', '-C', $source, 'deb');
    BAIL_OUT("make deb: $output") if $status;
}
# copies, as another test may build them anew
my $packages = directory('packages');
copy($_, $packages) or BAIL_OUT("$_: $!")
    for glob +($ENV{PUNIT_DEBS} // "$source/build/deb") . '/*.deb';
my @debs = glob "$packages/*.deb";
my $image = image(debs => \@debs);
my $document =
    Punit::Machine::Document->new($ENV{PUNIT_OPERATIONS} // "$source/doc/OPERATIONS.md");

# ---- pasting

# Lines that are no commands, or that are not run here, and why.
my @excluded = (
    [qr/^\w\w  10\.\d/ => 'a line of the file of units'],
    [qr/^curl -X PUT/ => 'the address is that of a unit of make run'],
);

# Lines that are pasted in another form, and why.
my @otherwise = (
    [qr/^make deb && / => sub {''}, 'the packages are built'],
    [qr/^punitctl cancel .*/ => sub {"$_[0]; test \$? = 1"}, 'the user has arrived'],
    [qr/^punitctl moves --watch$/ => sub {"timeout --signal=INT 3 $_[0]; test \$? = 124"}, 'ends'],
);

# Pastes a line into a machine, where it must succeed. `change` makes it a line of another unit.
sub paste {
    my ($machine, $line, %o) = @_;
    my $command = $line;
    for (@otherwise) {
        my ($pattern, $instead) = @$_;
        $command =~ s/($pattern)/$instead->($1)/e;
    }
    $command = $o{change}->($command) if $o{change};
    my $settings = 'test ! -e /etc/punit/unit.env || { set -a; . /etc/punit/unit.env; set +a; }';
    my ($status, $output) = $machine->run("$settings; $command");
    is($status, $o{status} // 0, "$machine->{name}: $line") or diag $output;
    $document->done($line);
    return $output;
}

# A command that a sentence of the document names, with FILE in it for a name.
sub paste_named {
    my ($machine, $command, %o) = @_;
    ok($document->names($command), "the document names $command");
    return paste($machine, $command, change => sub { $_[0] =~ s/FILE/units/r }, %o);
}

sub stop_unless_good {
    my ($what) = @_;
    BAIL_OUT($what) if !Test::More->builder->is_passing;
    return;
}

sub all_run {
    my ($machine, $name, $seconds) = @_;
    my @stopped = $machine->stopped_parts($seconds);
    is("@stopped", '', "$machine->{name}: $name")
        or diag map { ($machine->run("journalctl --no-pager --lines 8 --unit $_"))[1] } @stopped;
    return;
}

# ---- a bare machine, and what the packages bring along

my $bare = Punit::Machine->new(name => 'bare', below => [$image])->start;

sub put_packages {
    my ($machine, @files) = @_;
    my $folder = $machine->root . '/root/build/deb';
    remove_tree($folder);
    make_path($folder);
    for (@files) { copy($_, "$folder/") or BAIL_OUT("$_: $!") }
    return;
}
put_packages($bare, @debs);
my ($install, $init, $enable) = $document->lines('A unit from nothing');
paste($bare, $install);
stop_unless_good('the packages are not installed');

my ($status, $output) = $bare->run('ss --listening --tcp --udp --numeric --no-header');
is($output, '', 'after the installation nothing listens');
for my $service (qw(nginx memcached)) {
    ($status, $output) = $bare->run("systemctl is-enabled $service; systemctl is-active $service");
    is($output, "disabled\ninactive\n", "Debian's $service is there for the operator to enable");
}
is_deeply([$bare->run('pg_lsclusters --no-header')], [0, ''], 'no cluster of PostgreSQL is made');
is(
    ($bare->run('ls /etc/systemd/system /etc/postgresql-common/createcluster.d | grep punit'))[1],
    '', 'nothing of how that was done stays'
);
is(
    ($bare->run('stat -c "%U:%G %a" /var/lib/punit; readlink /etc/punit'))[1],
    "punit:punit 755\n/var/lib/punit\n",
    'the place of the unit is there'
);
$bare->stop;

# ---- three units

my %address = (eu => '10.1.0.1', us => '10.2.0.1', ap => '10.3.0.1');
my @units = qw(eu us ap);
my $directory = directory('ca');
my $authority = Punit::Authority->new($directory, 'ca');
my %machine;
for my $unit (@units) {
    $authority->certify($unit);
    my $m = $machine{$unit} = Punit::Machine->new(
        name => $unit, below => [$bare->layer, $image], address => "$address{$unit}/8"
    );
    for ("$unit.pem", "$unit.key", 'ca.pem') {
        copy("$directory/$_", $m->root . "/root/$_") or BAIL_OUT("$_: $!");
    }
    spew($m->root . '/root/pepper', '0f' x 32, "\n");
    spew(
        $m->root . '/root/units',
        map { my $a = $address{$_}; "$_  $a:80  $a:8443  $a:5432\n" } @units
    );
    $m->start;
    paste(
        $m, $init,
        change => sub { $_[0] =~ s/\beu\b/$unit/gr =~ s/10\.1\.0\.1/$address{$unit}/gr });
    paste($m, $enable);
    all_run($m, 'each part of the unit runs');
    stop_unless_good("$unit does not run");
}

# punitctl tests NGINX's configuration as the user punit, which may not bind port 80.
my $unbound = 'punitctl may not bind port 80 when it tests the configuration of NGINX';

sub reload_nginx {
    for my $unit (@_) {
        my ($reloaded, $why) = $machine{$unit}->run('systemctl reload punit-nginx');
        is($reloaded, 0, "$unit: NGINX reads its configuration again") or diag $why;
    }
    return;
}
{
    local $TODO = $unbound;
    paste_named($machine{$_}, 'punitctl unit add FILE') for @units;
    paste_named($machine{$_}, 'punitctl mesh join') for @units;
}
reload_nginx(@units);
paste_named($machine{eu}, 'punitctl seed');
stop_unless_good('the units do not know each other');

my $fronts = Punit::Machine::Fronts->new(map { $_ => "http://$address{$_}" } @units);
my $ada = Punit::User->register($fronts, 'eu', email => 'ada@example.org');
is($ada->post('eu')->{status}, 201, 'a user registers and writes');
{
    local $TODO = 'gridd has no pid under systemd';
    my ($good, $said) = $machine{eu}->run('punitctl status --dir /etc/punit');
    is($good, 0, 'punitctl status finds the unit good') or diag $said;
}
$ada->cross('us', seconds => 40);
is($ada->post('us')->{status}, 201, 'the user crosses to another unit and writes there');
is_deeply([$ada->posts('us')], [$ada->written], 'where all is that was written');

# ---- the operator's commands

paste($machine{us}, $_, change => sub { $_[0] =~ s/--to us/--to eu/r })
    for $document->lines('Moving a user by hand');
paste($machine{eu}, $_) for $document->lines('Are copies what they should be?');
paste($machine{eu}, $_) for $document->lines('Draining a unit');
{
    my @lines = $document->lines('Removing a unit');
    local $TODO = $unbound;
    paste($machine{ap}, $_) for @lines[0 .. $#lines - 1];
    paste($machine{$_}, $lines[-1]) for qw(eu us);
}
$machine{ap}->stop;

# ---- logs

paste($machine{eu}, $_) for $document->lines('Watching');
{
    my %priority = (error => 3, warn => 4, info => 6, debug => 7);
    my @lines = $machine{eu}->journal('punit@*');
    my @ours = grep { $_->{MESSAGE} =~ /^ts=/ } @lines;
    cmp_ok(scalar @ours, '>', 7, 'the journal has the lines of the services');
    my %names = map { $_->{SYSLOG_IDENTIFIER} => 1 } @ours;
    is_deeply(
        [sort keys %names], [sort map {"punit-$_"} services(), qw(gridd mover)],
        'each under its name'
    );
    my @wrong = grep {
        my ($level) = $_->{MESSAGE} =~ /level=(\w+)/;
        $_->{PRIORITY} != $priority{$level}
    } @ours;
    is_deeply([map {"$_->{PRIORITY} $_->{MESSAGE}"} @wrong], [], 'with their priorities');

    my ($rotated, $why) = $machine{eu}->run('logrotate --force /etc/logrotate.d/punit');
    is($rotated, 0, 'the logs of NGINX are rotated') or diag $why;
    $ada->ask('eu', GET => '/sports');
    my $new = 'cd /etc/punit/log && test -s access.log.1 && grep -q /sports access.log';
    ok($machine{eu}->succeeds($new), 'and NGINX writes into the new ones');
}

# ---- what the sandbox leaves to the services

{
    my $of = 'systemctl show --property=MainPID --value punit@auth';
    like(
        ($machine{eu}->run("chrt --pid \$($of)"))[1], qr/SCHED_BATCH/,
        'the threads of a service do not push aside NGINX and PostgreSQL'
    );
    my @nice = split ' ',
        ($machine{eu}->run("cat /proc/\$($of)/task/*/stat | cut -d' ' -f19 | sort -un"))[1];
    is_deeply(\@nice, [0, 5], 'and those that hash passwords are lower still');
    is(
        ($machine{eu}->run('journalctl --boot --grep "status=31/SYS|code=killed"'))[1] =~ /SYS/, '',
        'no system call has killed a process'
    );
}

# ---- a reboot

$machine{eu}->reboot;
all_run($machine{eu}, 'each part of the unit runs after a reboot', 60);
my $ben;
ok(
    wait_until(
        sub {
            eval { $ben = Punit::User->register($fronts, 'eu') }
        },
        30
    ),
    'users register again'
);
is_deeply([$ada->posts('eu')], [$ada->written], 'and all is there that was written');

# ---- an address that comes late, and a unit on another disk

$machine{us}->stop;
{
    my $root = $machine{us}->root;
    capture('systemctl', "--root=$root", 'disable', 'systemd-networkd.service');
    my ($moved, $why) = capture(
        'sh', '-c',
        "mv '$root/var/lib/punit' '$root/srv/punit' && ln -s /srv/punit '$root/var/lib/punit'"
    );
    is($moved, 0, 'the place of a unit may be a link') or diag $why;
}
$machine{us}->start;
$machine{us}->run('sleep 20');
($status, $output) = $machine{us}->run(
    'systemctl show --property=NRestarts --value punit-postgres punit-nginx'
);
cmp_ok($_, '>', 5, 'without its address a server tries and tries') for split ' ', $output;
$machine{us}->run("ip address add $address{us}/8 dev host0; ip link set host0 up");
all_run($machine{us}, 'each part of the unit runs when the address has come', 60);
is(($machine{us}->run('systemctl --failed --no-legend'))[1], '', 'us: nothing has failed');
is_deeply([$ada->posts('us')], [$ada->written], 'and it knows the other unit');

# ---- the next release, while a client writes

my $writer = Punit::Machine::Writer->begin("http://$address{eu}", $ben->token);
put_packages($machine{eu}, next_release(directory('next'), @debs));
paste($machine{eu}, $_) for $document->lines('Upgrading');
all_run($machine{eu}, 'each part of the unit runs after an upgrade', 60);
like(($machine{eu}->run('dpkg-query --show punit'))[1], qr/[+]next$/, 'of the new version');
my $said = $writer->end;
cmp_ok(scalar @{ $said->{written} }, '>', 0, 'a client wrote meanwhile');
{
    local $TODO = 'a restart breaks connections';
    is_deeply($said->{failed}, [], 'and no request failed');
}

# ---- removal

paste($machine{us}, $_) for $document->lines('Removing the packages');
is(
    (
        $machine{us}->run(
            'find / -xdev -name "*punit*" -not -path "/root/*" -not -path "/srv/*"'
                . ' -not -path "/var/log/journal/*" -not -path "/var/cache/apt/*"'
        )
    )[1],
    "/var/lib/punit\n",
    'a purge leaves the data, and nothing else'
);
($status) = $machine{us}->run('test -s /var/lib/punit/pg/PG_VERSION');
is($status, 0, 'with the rows of the users');

# ---- servers of the operator's own

my $own = Punit::Machine->new(name => 'own', below => [$image])->start;
($status, $output) = $own->run('apt-get install nginx memcached postgresql-15');
is($status, 0, 'a machine has servers already') or diag $output;
my $servers = 'systemctl show --property=MainPID --property=UnitFileState --value nginx memcached'
    . ' postgresql@15-main';
my $before = ($own->run($servers))[1];
put_packages($own, @debs);
my $told = paste($own, $install);
is(($own->run($servers))[1], $before, 'which the packages leave alone');
like($told, qr/$_ was here before/, "and name: $_") for qw(nginx memcached PostgreSQL);

# ---- the whole document

for my $line ($document->lines) {
    $document->done($line) if grep { $line =~ $_->[0] } @excluded;
}
is_deeply([$document->left], [], 'no line of the document is left');
for (@excluded, @otherwise) {
    my $pattern = $_->[0];
    ok(scalar(grep { $_ =~ $pattern } $document->lines), "the document has a line like $pattern");
}

done_testing;
