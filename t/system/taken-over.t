#!/usr/bin/perl
# A program of a unit that is taken over: what its OS user and its database role may do on a machine
# with the packages. doc/SECURITY.md has the table.
#
# PUNIT_DEBS names another folder of packages.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use File::Copy qw(copy);

use Punit::Command qw(capture);
use Punit::Machine qw(cannot own_network);
use Punit::Machine::Fronts;
use Punit::Machine::Image qw(image);
use Punit::Machine::Programs;
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::User;
use Punit::Wait qw(wait_until);

my $source = root();
if (my $why = cannot()) {
    $ENV{CI} ? BAIL_OUT("CI boots machines: $why") : plan skip_all => $why;
}
if (!$ENV{PUNIT_DEBS}) {
    my ($status, $output) = capture('make', '-s', '-C', $source, 'deb');
    BAIL_OUT("make deb: $output") if $status;
}
my @debs = glob(($ENV{PUNIT_DEBS} // "$source/build/deb") . '/*.deb');
my $image = image(debs => \@debs);
own_network('10.0.0.1/8');

my $m = Punit::Machine->new(name => 'eu', below => [$image], address => '10.1.0.1/8')->start;
my $dir = Punit::Machine::Programs::DIR;

sub must {
    my ($command) = @_;
    my ($status, $output) = $m->run($command);
    BAIL_OUT("$command: $output") if $status;
    return $output;
}
copy($_, $m->root . '/root/') or BAIL_OUT("$_: $!")
    for grep { !/-(?:dev|doc)_/ } @debs;
must('apt-get install ./*.deb');
must('punitctl unit init eu --new --http 10.1.0.1:80 --peer 10.1.0.1:8443 --pg 10.1.0.1:5432');
must('systemctl enable --now punit.target');
my @stopped = $m->stopped_parts;
is("@stopped", '', 'each part of the unit runs')
    or diag map { ($m->run("journalctl --no-pager --lines 12 --unit '$_'"))[1] } @stopped;
BAIL_OUT('the unit does not run') if @stopped;

my $programs = Punit::Machine::Programs->new($m);
my $fronts = Punit::Machine::Fronts->new(eu => 'http://10.1.0.1');
my $ada = Punit::User->register($fronts, 'eu');
is($ada->post('eu')->{status}, 201, 'a user registers and writes');

# ---- who runs as whom

my %expected = $programs->expected;
is_deeply({ $programs->users }, \%expected, 'each program has a user of its own');
my @users = $programs->all;
is((grep { $_ eq 'punit' || $_ eq 'root' } @users), 0, 'none is the one of the operator');
for my $part (sort keys %expected) {
    my $status = must('cat /proc/' . $programs->pid($part) . '/status');
    like($status, qr/^NoNewPrivs:\s+1$/m, "$part: can gain no rights");
    my %group = map { $_ => 1 } split ' ', must("id -G $expected{$part}");
    my %in = map { $_ => 1 } map {split} $status =~ /^(?:Gid|Groups):(.*)$/mg;
    is(join(' ', sort grep { !$group{$_} } keys %in), '', "$part: has the groups of its user");
    my ($has) = $status =~ /^CapPrm:\s+(\w+)$/m;
    is(hex $has, $part eq 'punit-nginx' ? 1 << 10 : 0, "$part: has no rights of root but ports");
}

# ---- files

my @keys = split /\n/, must("find $dir/private -type f");
cmp_ok(scalar @keys, '>=', 2, 'a signing key and the pepper are there');
for my $user (@users) {
    my @read = grep { !($programs->as($user, "cat '$_'"))[0] } @keys;
    is_deeply(\@read, $user eq 'punit-auth' ? \@keys : [], "$user: reads no signing key but auth");
}
my %speaks = map { $_ => 1 } qw(punit-auth punit-db punit-mover punit-web);
for my $user (@users) {
    is(!($programs->as($user, "cat $dir/tls/unit.key"))[0],
        !!$speaks{$user},
        "$user: reads the key between units " . ($speaks{$user} ? 'to speak with them' : 'never'));
}

# The socket of the database and of the grid, as each program asks them.
my @sockets = map {"sock/$_"} qw(.s.PGSQL.5432 grid.sock tokens.sock);
my %writes = (
    'punit-web' => [
        qw(log log/access.log log/nginx.log nginx nginx/nginx.pid),
        (map {"nginx/tmp$_"} '', qw(/body /fastcgi /proxy /scgi /uwsgi)),
        map {"sock/$_.sock"} qw(admin mover), services()
    ],
    'punit-db' => [qw(log/postgres.log pg sock sock/.s.PGSQL.5432.lock)],
    'punit-grid' => ['sock'],
    'punit-mover' => [qw(ask sock/mover.sock)],
    map { ("punit-$_" => ["sock/$_.sock"]) } services()
);
for my $user (@users) {
    my @may = sort @{ $writes{$user} // [] }, @sockets;
    push @may, 'private', map {s{^\Q$dir\E/}{}r} @keys if $user eq 'punit-auth';
    is_deeply([grep { $_ ne 'nginx/state' } $programs->writes($user)],
        [sort @may], "$user: writes into its own files alone");
}
for my $command (
    "mv $dir/nginx/nginx.conf $dir/nginx/old",
    "rm -f $dir/nginx/punit_locations",
    "rm -rf $dir/nginx/unit/main.conf"
    )
{
    isnt(($programs->as('punit-web', $command))[0], 0, "punit-web: not $command");
}
isnt(($programs->as('punit-grid', "rm -f $dir/sock/auth.sock"))[0],
    0, 'a maker of sockets removes none of others');

# ---- processes

for my $user (@users) {
    my @others = grep { $expected{$_} ne $user } sort keys %expected;
    my @open = grep {
        my $pid = $programs->pid($_);
        !($programs->as($user, "cat /proc/$pid/environ >/dev/null || kill -0 $pid"))[0]
    } @others;
    is_deeply(\@open, [], "$user: sees no environment of others and ends none of them");
}

# ---- the database

for my $user (@users) {
    my %own = ('punit-db' => ['postgres'], 'punit-web' => [], 'punit-grid' => []);
    my @own = @{ $own{$user} // [$user =~ tr/-/_/r] };
    is_deeply([$programs->roles_of($user)], \@own, "$user: logs in as @own alone")
        if $user ne 'punit-db';
}
my $tables = q{select c.oid::regclass from pg_class c where c.relkind in ('r', 'p', 'v')}
    . q{ and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')};
my @tables = split /\n/, ($programs->sql('root', 'postgres', $tables))[1];
cmp_ok(scalar @tables, '>', 30, 'the tables of the services are there');
for my $service (services(), qw(mover gridd)) {
    my ($user, $role) = ("punit-$service", "punit_$service");
    my $rights = qq{$tables and c.relnamespace::regnamespace::text not in ('punit', '$service')}
        . qq{ and has_table_privilege('$role', c.oid, 'insert, update, delete, truncate')};
    $rights .= ' and c.oid not in (select tab::regclass from punit.user_table)'
        if $service eq 'mover';
    is_deeply([$programs->sql('root', 'postgres', $rights)], [0, ''],
        "$user: writes into no table of a service"
            . ($service eq 'mover' ? ' but what moves' : ' but its own'));
    my ($other) = grep {/^(?!\Q$service\E\.|punit\.)/} @tables;
    my ($status, $output) = $programs->sql($user, $role, "delete from $other");
    like($output, qr/permission denied/, "$user: tries it in vain");
    is(($programs->sql($user, $role, 'select rolsuper or rolcreaterole or rolbypassrls'
                . ' or rolreplication from pg_roles where rolname = current_user'))[1],
        "f\n", "$role: has no right of a superuser");
    isnt(($programs->sql($user, $role, 'set role postgres'))[0], 0, "$role: becomes no superuser");
    isnt(($programs->sql($user, $role, q{copy (select 1) to program 'id'}))[0],
        0, "$role: runs no program");
}

is(
    ($programs->sql('root', 'postgres', q{select usename from pg_stat_activity}
                . q{ join pg_roles on rolname = usename where rolsuper}
                . q{ and backend_type = 'client backend' and pid <> pg_backend_pid()}))[1],
    '', 'no program is connected as a superuser'
);
like(($programs->sql('root', 'postgres', q{select distinct usename from pg_stat_activity}))[1],
    qr/^punit_mover$/m, 'and the mover is connected');

# ---- the sockets of services: a request there says itself whose it is

my $connect = 'perl -MIO::Socket::UNIX -e "exit !IO::Socket::UNIX->new(Peer => shift)" ';
for my $service (services()) {
    my @in = grep { !($programs->as($_, "$connect$dir/sock/$service.sock"))[0] } @users;
    is_deeply(\@in, [sort "punit-$service", 'punit-web'], "NGINX alone asks $service");
}

# ---- all serves nevertheless

must('punitctl unit init eu PUNIT_KEY_KEEP=5s');
must('punitctl keys rotate');
ok(!-e $m->root . "$dir/private/eu-1.ES256.key.pem", 'a new key signs, and auth reads it');
is(must("stat -c '%U:%G %a' $dir/private/*"), "punit-auth:punit-auth 600\n" x 2,
    'the new key belongs to auth');
$ada->renew('eu');
is($ada->post('eu')->{status}, 201, 'a token of it is accepted');
must('systemctl restart punit.target');
ok($m->succeeds("test ! -e $dir/keys/eu-1.ES256.pem", 60),
    'a key that is over goes by itself, though the mover may not write there')
    or diag $m->run('journalctl --no-pager --lines 20 --unit punit@mover --unit "punit-keys*"');
ok(-e $m->root . "$dir/keys/eu-2.ES256.pem", 'and the other stays');
must("cp $dir/tls/unit.key $dir/tls/new && mv $dir/tls/new $dir/tls/unit.key");
must('punitctl certificates --reload');
is(must("stat -c '%U:%G %a' $dir/tls/unit.key"), "root:punit 640\n",
    'a key that root put there is given to its readers');
is(must('logrotate --force /etc/logrotate.d/punit'), '', 'the logs of NGINX are rotated');
$ada->ask('eu', GET => '/sports');
ok($m->succeeds("test -s $dir/log/access.log.1 && grep -q /sports $dir/log/access.log"),
    'and NGINX writes into the new ones');
must('punitctl doctor');
must('punitctl status');
is_deeply([$ada->posts('eu')], [$ada->written], 'and all is there that was written');

# ---- what a release with one user left, and was killed

my $listen = 'perl -MIO::Socket::UNIX -e "umask 7; IO::Socket::UNIX->new(Local => shift,'
    . ' Listen => 1) or die \$!"';
must('systemctl stop punit-postgres punit-grid@grid');
must("cd $dir && rm -f sock/grid.sock && chown -R punit:punit pg && chmod 1777 sock");
for my $socket (qw(grid.sock .s.PGSQL.5432)) {
    must("runuser -u punit -- $listen $dir/sock/$socket");
}
must("cd $dir/sock && cp ../pg/PG_VERSION .s.PGSQL.5432.lock && chown punit:punit .s.PGSQL.*"
        . ' && chmod 1771 .');
must('systemctl start punit-postgres punit-grid@grid');
is(join(' ', $m->stopped_parts(60)), '', 'a killed release with one user hinders no program');
is_deeply({ $programs->users }, \%expected, 'each has its own user');
is(must("find $dir/pg -not -user punit-db"), '', 'and PostgreSQL its files');

# ---- a reboot, and a master that was killed

$m->reboot;
is(join(' ', $m->stopped_parts(60)), '', 'each part of the unit runs after a reboot');
must('kill -KILL ' . join ' ', map { $programs->pid($_) } qw(punit-nginx punit-postgres),
    'punit-grid@grid');
is(join(' ', $m->stopped_parts(60)), '', 'and after the servers were killed');
ok(wait_until(sub { $ada->ask('eu', GET => '/profile')->{status} == 200 }, 30), 'and serves');
my $denied = 'journalctl --no-pager --boot --grep "[Pp]ermission denied" --unit "punit*"';
unlike(($m->run($denied))[1], qr/denied/, 'no program misses a right');

done_testing;
