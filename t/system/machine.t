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
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);

use Punit::Authority;
use Punit::Command qw(capture);
use Punit::File qw(spew);
use Punit::Machine qw(cannot own_network);
use Punit::Machine::Document;
use Punit::Machine::Fronts;
use Punit::Machine::Image qw(image);
use Punit::Machine::Packages qw(former_release FORMER);
use Punit::Machine::Programs;
use Punit::Machine::Writer;
use Punit::Server qw(directory);
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::User;
use Punit::Wait qw(wait_until);

my $source = root();

# How long each part took.
my $began = time;

sub part {
    my ($name) = @_;
    note sprintf '%5.1f s  %s', time - $began, $name;
    $began = time;
    return;
}

if (my $why = cannot()) {
    $ENV{CI} ? BAIL_OUT("CI boots machines: $why") : plan skip_all => $why;
}
if (!$ENV{PUNIT_DEBS}) {
    my ($status, $output) = capture('make', '-s', '-C', $source, 'deb');
    BAIL_OUT("make deb: $output") if $status;
}
# made while there is a network
my $built = $ENV{PUNIT_DEBS} // "$source/build/deb";
my $image = image(debs => [glob "$built/*.deb"]);
own_network('10.0.0.1/8');
# copies, as another test may build them anew
my $packages = directory('packages');
copy($_, $packages) or BAIL_OUT("$_: $!")
    for glob "$built/*.deb";
my @debs = glob "$packages/*.deb";
part('packages and image');
my $document =
    Punit::Machine::Document->new($ENV{PUNIT_OPERATIONS} // "$source/doc/OPERATIONS.md");

# ---- pasting

# Commands that are not run here, and why.
my @excluded = (
    [qr/^make install prefix=/ => 'a machine without the packages: t/system/deb.t'],
    [qr/^sv / => 'units under runit: t/units/maintenance.t'],
    [qr/^certbot / => 'no server of ACME is here: t/units/https.t'],
    [qr/^ssh -L / => 'the machines have no server of SSH'],
    [qr/^punitctl unit remove \w+ --stopped$/ => 'a unit that is lost: t/units/unit-remove.t'],
    [qr/^punitctl unit add la$/ => 'a fourth unit: t/units/invite.t'],
    [qr/^punitctl mesh resync THIS$/ => 'as mesh resync PEER, which is run'],
    [qr/^punitctl user$/ => 'it stands for the next line with a user'],
    [qr/^punitctl unit remove$/ => 'it stands for the line with a unit'],
);

# Lines that are pasted in another form, and why.
my @otherwise = (
    [qr/^make deb && / => sub {''}, 'the packages are built'],
    [qr/^scp .*/ => sub { send_invite($_[0]); 'true' }, 'the machines have no server of SSH'],
    [qr/^punitctl cancel .*/ => sub {"$_[0]; test \$? = 1"}, 'the user has arrived'],
    [qr/^punitctl moves --watch$/ => sub {"timeout --signal=INT 3 $_[0]; test \$? = 124"}, 'ends'],
);

my %address = (eu => '10.1.0.1', us => '10.2.0.1', ap => '10.3.0.1');
my @units = qw(eu us ap);
my %machine;

# Does at eu what the line of scp says.
sub send_invite {
    my ($line) = @_;
    my ($file, $to) = $line =~ /^scp (\S+) (10[\d.]+):$/ or die "not understood: $line";
    my ($unit) = grep { $address{$_} eq $to } @units;
    my ($from, $there) = map { $machine{$_}->root . "/root/$file" } 'eu', $unit;
    is(sprintf('%o', (stat $from)[2] & oct 7777), '600', "$file is for its writer alone");
    copy($from, $there) && chmod(0600, $there) or die "$file: $!";
    return;
}

# Pastes a step of the document into a machine, where it must succeed. `change` makes it a line of
# another unit.
sub paste {
    my ($machine, $step, %o) = @_;
    my $command = $step->{line};
    for (@otherwise) {
        my ($pattern, $instead) = @$_;
        $command =~ s/($pattern)/$instead->($1)/e;
    }
    $command = $o{change}->($command) if $o{change};
    my ($status, $output) = $machine->run($command);
    is($status, $o{status} // 0, "$machine->{name}: $step->{line}") or diag $output;
    $step->{done} = 1;
    return $output;
}

# Pastes the lines of a section where the document says, else at `units`. Returns how many.
sub walk {
    my ($section, @default) = @_;
    my $count = 0;
    for my $step ($document->steps($section)) {
        for my $unit (@{ $step->{at} } ? @{ $step->{at} } : @default) {
            paste($machine{$unit}, $step);
            $count++;
        }
    }
    return $count;
}

# A command that a sentence of the document names. `as` are its words in capitals.
sub paste_spoken {
    my ($machine, $command, %o) = @_;
    my $step = $document->spoken($command);
    ok($step, "the document names $command") or return;
    my $as = delete $o{as} // {};
    my $change = sub {
        my ($line) = @_;
        $line =~ s/\b$_\b/$as->{$_}/g for sort keys %$as;
        return $line;
    };
    return paste($machine, $step, change => $change, %o);
}

# Makes a line about eu one of another unit.
sub at {
    my ($unit) = @_;
    return (change => sub { $_[0] =~ s/\beu\b/$unit/gr =~ s/10\.1\.0\.1/$address{$unit}/gr });
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
my @former = former_release(directory('former'), @debs);
put_packages($bare, @former);
my ($install, $init, $enable, $register) = $document->steps('A unit from nothing');
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

part('the former packages on a bare machine');

# ---- three units

sub machine {
    my ($unit) = @_;
    my $m = $machine{$unit} = Punit::Machine->new(
        name => $unit, below => [$bare->layer, $image], address => "$address{$unit}/8"
    );
    return $m->start;
}

my $fronts = Punit::Machine::Fronts->new(map { $_ => "http://$address{$_}" } @units);
my $commands = 2;
machine('eu');
paste($machine{eu}, $_) for $init, $enable;
all_run($machine{eu}, 'each part of the unit runs');
stop_unless_good('eu does not run');
like(paste($machine{eu}, $register), qr/"access_token":/, 'which registers a user');
my $ben = Punit::User->register($fronts, 'eu');
is($ben->post('eu')->{status}, 201, 'a system of one unit registers users, who write');
paste_spoken(
    $machine{eu}, 'punitctl import exercises FILE',
    as => { FILE => '/usr/share/punit/conf/exercises.json' });
part('a system of one unit');

machine($_) for qw(us ap);
$commands += walk('Units that know each other');
stop_unless_good('the units do not know each other');
cmp_ok($commands, '<=', 12, "three units take $commands commands after the installation");
all_run($machine{$_}, 'each part of the unit runs') for @units;
for my $unit (@units) {
    my $user = Punit::User->register($fronts, $unit);
    is($user->post($unit)->{status}, 201, "a user registers at $unit and writes");
}
stop_unless_good('a unit does not serve');
part('three units');

# What a line says with --json.
sub said {
    my ($machine, $line) = @_;
    my ($exit, $output) = $machine->run("$line --json");
    is($exit, 0, "$machine->{name}: $line --json") or diag $output;
    return scalar(eval { decode_json($output) }) // {};
}

# Each unit is good, as its operator sees it.
sub all_good {
    my @names = @_;
    for my $unit (@names) {
        my $m = $machine{$unit};
        paste_spoken($m, 'punitctl status');
        paste_spoken($m, 'punitctl doctor');
        my $state = said($m, 'punitctl status');
        my @processes = @{ $state->{processes} // [] };
        ok($state->{good}, "$unit: the unit is good");
        is_deeply(
            [map { $_->{name} } grep { $_->{state} ne 'up' || !$_->{pid} } @processes], [],
            "$unit: each process is up, and has a pid"
        );
        is(scalar(grep { $_->{name} eq 'gridd' } @processes), 1, "$unit: gridd, too");
        said($m, 'punitctl doctor');
    }
    return;
}
all_good(@units);
part('status and doctor');

# ---- HTTPS for clients, and a crossing

my $own = directory('site');
my $site = Punit::Authority->new($own, 'authority', days => 90);
my ($https, $proxies) = $document->steps('HTTPS for clients');
for my $unit (qw(eu us)) {
    $site->certify($unit, "$unit.example.org", "IP:$address{$unit}");
    my $root = $machine{$unit}->root . '/root';
    copy("$own/$unit.pem", "$root/site.pem") && copy("$own/$unit.key", "$root/site.key")
        or die "site: $!";
    paste($machine{$unit}, $https, at($unit));
    paste($machine{$unit}, $proxies, at($unit));
}
$fronts->trust("$own/authority.pem", map { $_ => "https://$address{$_}" } qw(eu us));
my $ada = Punit::User->register($fronts, 'eu', email => 'ada@example.org');
is($ada->post('eu')->{status}, 201, 'a user registers at eu by HTTPS and writes');
for my $unit (qw(us eu)) {
    my $answers = $ada->cross($unit, seconds => 40);
    is_deeply(
        [grep { $_->{version} ne '2' || $_->{status} != 200 } @$answers], [],
        "the user crosses to $unit by HTTP/2"
    );
    is($answers->[0]{route}, 'forward', 'is forwarded at first');
    is($ada->post($unit)->{status}, 201, 'and writes there');
}
is_deeply([$ada->posts('eu')], [$ada->written], 'where all is that was written');
part('a crossing by HTTPS');

# ---- the operator's commands

walk('A peer that is down', 'eu');
walk('Roles', 'eu');
paste_spoken($machine{eu}, 'punitctl help');
paste_spoken($machine{eu}, 'punitctl VERB -h', as => { VERB => 'status' });
paste_spoken($machine{eu}, 'punitctl user USER', as => { USER => 'ada@example.org' });
walk('Moving a user by hand', 'eu');
walk('Are copies what they should be?', 'eu');
paste_spoken($machine{eu}, 'punitctl ca init --ca DIR', as => { DIR => '/root/ca' });
paste_spoken($machine{eu}, 'punitctl ca unit us --ca DIR --out DIR', as => { DIR => '/root/ca' });
spew(
    $machine{eu}->root . '/root/units',
    map { my $a = $address{$_}; "$_ $a:80 $a:8443 $a:5432\n" } @units
);
paste_spoken($machine{eu}, 'punitctl unit add FILE', as => { FILE => '/root/units' });
paste_spoken($machine{eu}, 'punitctl mesh resync PEER', as => { PEER => 'ap' });
part('commands of the operator');

# ---- keys and certificates, while a client writes

my ($writer, $written_before);

sub start_writer {
    $written_before = grep {/^written/} $ben->posts('eu');
    $writer = Punit::Machine::Writer->begin("https://$address{eu}", $ben, "$own/authority.pem");
    return;
}

# Judges what the client saw.
sub stop_writer {
    my ($while) = @_;
    my $wrote = $writer->end;
    cmp_ok(scalar @{ $wrote->{written} }, '>', 0, "a client wrote during $while");
    is_deeply($wrote->{failed}, [], 'and no request failed');
    my @there = grep {/^written/} $ben->posts('eu');
    is_deeply([@there[$written_before .. $#there]], $wrote->{written},
        'and all is there that was written');
    return;
}
start_writer();

sub holds_key {
    my ($unit, $kid) = @_;
    my ($exit, $output) = $machine{$unit}->run('punitctl keys list --json');
    die "keys list: $output" if $exit;
    my $all = decode_json($output)->{keys};
    my ($holders) = map { $_->{held_by} } grep { $_->{kid} eq $kid } @$all;
    return scalar grep { $_ eq $unit } @{ $holders // [] };
}

my $kept = 'punitctl unit init eu PUNIT_KEY_KEEP=20s';
is(($machine{eu}->run($kept))[0], 0, 'a key that signs no more is good for 20 s');
{
    my ($publish, $sync, $sign) = $document->steps('Keys');
    my $old_token = $ben->token;
    ok(holds_key('us', 'eu-1'), 'us holds the key of eu');
    paste($machine{eu}, $publish, status => 1);
    paste($machine{$_}, $sync) for qw(us ap);
    paste($machine{eu}, $sign);
    my $new = Punit::User->register($fronts, 'eu');
    for my $unit (@units) {
        ok(wait_until(sub { !holds_key($unit, 'eu-1') }, 60), "$unit: the old key ends by itself");
    }
    for my $unit (qw(eu us)) {
        ok(
            wait_until(
                sub { $fronts->http($unit, GET => '/profile', $old_token)->{status} == 401 }, 15
            ),
            "$unit: a token of the old key is refused"
        );
        is($new->ask($unit, GET => '/profile')->{status}, 200, "$unit: one of the new key is not");
    }
}
paste_spoken($machine{eu}, 'punitctl certificates');
paste_spoken($machine{eu}, 'punitctl certificates --reload');
my %auth = (as => { NAME => 'auth' });
paste_spoken($machine{eu}, 'systemctl reload punit@NAME', %auth);
paste_spoken($machine{eu}, 'systemctl restart punit@NAME', %auth);
paste_spoken($machine{eu}, 'systemctl reload punit-nginx');
stop_writer('a rotation');

# a key that is stolen while its tokens are good for long
{
    is(($machine{eu}->run('punitctl unit init eu PUNIT_KEY_KEEP=20m'))[0], 0, 'and now for 20 min');
    my ($publish, $sync, $sign) = $document->steps('Keys');
    my $retire = sub {
        paste_spoken($machine{eu}, 'punitctl keys retire KID', as => { KID => 'eu-2' }, @_);
    };
    my $stolen = Punit::User->register($fronts, 'eu')->token;
    my $statuses = sub {
        my ($token) = @_;
        join ' ', map { $fronts->http($_, GET => '/profile', $token)->{status} } @units;
    };
    like($retire->(status => 1), qr/rotate/, 'the key that signs is refused');
    paste($machine{eu}, $publish, status => 1);
    paste($machine{$_}, $sync) for qw(us ap);
    paste($machine{eu}, $sign);
    is($statuses->($stolen), '200 200 200', 'a token of the old key is good');
    $retire->();
    is($statuses->($stolen), '401 401 401', 'and at once it is refused at each unit');
    is(
        $statuses->(Punit::User->register($fronts, 'eu')->token),
        '200 200 200', 'one of the new key is not'
    );
}
paste_spoken($machine{eu}, 'systemctl restart punit-nginx');
paste_spoken($machine{eu}, 'systemctl stop punit@NAME.socket punit@NAME', %auth);
paste_spoken($machine{eu}, 'systemctl restart punit.target');
all_run($machine{eu}, 'each part of the unit runs after that');
# the key of the token is over
$ada->renew('eu');
part('rotation of keys');

# ---- a unit leaves

walk('Draining a unit', 'eu');
paste_spoken($machine{us}, 'punitctl moves');
walk('Removing a unit', 'eu', 'us');
$machine{ap}->stop;
part('drain and removal');

# ---- logs

walk('Watching', 'eu');
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
ok(
    wait_until(
        sub {
            eval { Punit::User->register($fronts, 'eu') }
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

part('reboot and a late address');

# ---- the next release, while a client writes

# The running programs of eu whose files are gone.
sub outdated {
    my @parts = grep {/\@(?!grid|tokens)/} Punit::Machine::parts();
    my $pids = "systemctl show --property=MainPID --value @parts";
    return ($machine{eu}->run("for p in \$($pids); do readlink /proc/\$p/exe; done"))[1]
        =~ /^(.*) \(deleted\)$/mg;
}

sub former_functions {
    my $count = q{select count(*) from pg_proc where prosrc like '%} . FORMER . q{%'};
    my $sql = 'psql -h /etc/punit/sock -d punit -U postgres -At';
    return ($machine{eu}->run(qq{$sql -c "$count"}))[1] =~ s/\n//r;
}

$ben->renew('eu');
start_writer();
cmp_ok(former_functions(), '>', 0, 'the schema is that of the former release');
put_packages($machine{eu}, @debs);
my ($upgrade, @then) = $document->steps('Upgrading');
paste($machine{eu}, $upgrade);
cmp_ok(scalar outdated(), '>', 0, 'the packages restart nothing');
paste_spoken($machine{eu}, 'punitctl schema --dry-run', status => 3);
my (undef, $schema) = map { paste($machine{eu}, $_) } @then;
like($schema, qr/nothing to do$/m, 'unit init has brought the schema to the new version');
all_run($machine{eu}, 'each part of the unit runs after an upgrade', 60);
unlike(($machine{eu}->run('dpkg-query --show punit'))[1], qr/former/, 'of the new version');
is_deeply([outdated()], [], 'with its programs');
is(former_functions(), '0', 'and its schema');
stop_writer('an upgrade');
{
    my $programs = Punit::Machine::Programs->new($machine{eu});
    my %own = $programs->expected;
    my %kept = map { $_ => 'punit' } grep {/postgres|grid\@/} keys %own;
    my $doctor = sub { return ($machine{eu}->run('punitctl doctor'))[1] };
    is_deeply({ $programs->users }, { %own, %kept },
        'its programs have users of their own, but those that did not restart');
    like($doctor->(), qr/PostgreSQL does not run as punit-db yet/, 'doctor names PostgreSQL');
    paste_spoken($machine{eu},
        'systemctl restart punit-postgres punit-grid@grid punit-grid@tokens');
    all_run($machine{eu}, 'each part of the unit runs with its own user', 60);
    is_deeply({ $programs->users }, \%own, 'which the others have after their restart');
    unlike($doctor->(), qr/runs without punit_guard/, 'PostgreSQL holds peers to their rights');
    # a subscription that has begun a moment ago, and had an error before, may be failing
    ok(wait_until(sub { ($machine{eu}->run('punitctl status'))[0] == 0 }, 30),
        'and serves, with its peers, again');
}
all_good('eu');
part('upgrade');

# ---- removal

walk('Removing the packages', 'us');
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

my $busy = Punit::Machine->new(name => 'busy', below => [$image])->start;
($status, $output) = $busy->run('apt-get install nginx memcached postgresql-15');
is($status, 0, 'a machine has servers already') or diag $output;
my $servers = 'systemctl show --property=MainPID --property=UnitFileState --value nginx memcached'
    . ' postgresql@15-main';
my $before = ($busy->run($servers))[1];
put_packages($busy, @debs);
my $told = paste($busy, $install);
is(($busy->run($servers))[1], $before, 'which the packages leave alone');
like($told, qr/$_ was here before/, "and name: $_") for qw(nginx memcached PostgreSQL);

part('purge, and servers of the operator');

# ---- the whole document

my @steps = $document->all;
for my $step (@steps) {
    $step->{done} = 1 if grep { $step->{line} =~ $_->[0] } @excluded;
}
is_deeply([$document->left], [], 'no command of the document is left');
for (@excluded, @otherwise) {
    my $pattern = $_->[0];
    ok(scalar(grep { $_->{line} =~ $pattern } @steps), "the document has a line like $pattern");
}

done_testing;
