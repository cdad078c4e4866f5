#!/usr/bin/perl
# status and doctor: each thing that can be wrong with a unit is broken, and named with what to do.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Test::More;

use Punit::Command qw(as_punit capture);
use Punit::File qw(append slurp spew);
use Punit::Units;
use Punit::Wait qw(wait_until);

my $units = Punit::Units->start(units => ['eu', 'us']);
my $eu = $units->dir . '/eu';
my $ctl = $units->dir . '/app/bin/punitctl';

# (exit code, object)
sub json {
    my @arguments = @_;
    my ($status, $output) = $units->punitctl('eu', @arguments, '--json');
    my ($text) = $output =~ /(^\{.*^\})/ms;
    return ($status, eval { decode_json($text) } // { output => $output });
}

# The same where a shell command was run before, in a mount namespace of its own.
sub json_with {
    my ($command, @arguments) = @_;
    my (undef, $output) =
        capture('unshare', '-m', 'sh', '-c', "$command && exec \"\$@\"", 'sh', $ctl, @arguments,
        '--json', '--dir', $eu);
    my ($text) = $output =~ /(^\{.*^\})/ms;
    return eval { decode_json($text) } // { output => $output };
}

# What a change breaks, as doctor says it: "result: found: do". `mend` undoes the change.
sub doctor_says {
    my ($check, $break, $mend, $want, $what) = @_;
    $break->();
    my ($status, $all) = json('doctor');
    $mend->();
    my @lines = map { join ': ', grep {defined} @$_{qw(result found do)} }
        grep { $_->{check} eq $check } @{ $all->{findings} };
    my ($line) = grep { $_ =~ $want } @lines;
    ok(defined $line, "$check: $what") or diag(join "\n", @lines, $all->{output} // '');
    is($status, 1, 'which is a failure: exit code 1') if defined $line && $line =~ /^fail/;
    return;
}

# A setting of unit.env for one call.
sub with_setting {
    my ($line, @rest) = @_;
    my $file = "$eu/unit.env";
    my $before = slurp($file);
    return ($rest[0], sub { append($file, "$line\n") }, sub { spew($file, $before) },
        @rest[1, 2]);
}

sub sql {
    my ($break, $mend) = @_;
    return map { my $statement = $_; sub { $units->connect('eu')->do($statement) } } $break, $mend;
}

# Marks a peer, through the admin side where there is one.
sub mark {
    my ($peer, $state) = @_;
    my $path = "/punit/status/peers/$peer";
    return system(
        'curl', '-sf', '-o', '/dev/null', '-X', 'PUT', '-d', qq({"state":"$state"}),
        -S "$eu/sock/admin.sock"
        ? ('--unix-socket', "$eu/sock/admin.sock", "http://localhost$path")
        : 'http://127.0.0.1:' . $units->port('eu') . $path
    );
}

subtest 'status of a unit that is well' => sub {
    my ($status, $all) = json('status');
    is($status, 0, 'exit code 0') or diag(explain $all);
    like($all->{version}, qr/^\d+\.\d+/, 'the version of the program');
    ok($all->{schema}{fits}, 'the schema fits');
    is("$all->{keys}{signs} $all->{keys}{held}", 'eu-1 2', 'the key that signs, and how many keys');
    is_deeply(
        [map {"$_->{name} $_->{subject}"} @{ $all->{certificates} }],
        ['unit CN=eu', 'authority CN=punit authority'],
        'the certificates'
    );
    cmp_ok($_->{days}, '>', 3600, "$_->{name}: days left") for @{ $all->{certificates} };
    is($all->{front}{nginx}, 'ok', 'NGINX answers');
    is_deeply([grep { $_->{status} != 200 } @{ $all->{front}{services} }], [],
        'so do the services');
    is_deeply($all->{front}{marks}, [{ peer => 'us', mark => 'up' }], 'no peer is marked down');
    is(@{ $all->{disk} }, 2, 'two disks');
    is($all->{drain}, undef, 'no drain');
    my ($gridd) = grep { $_->{name} eq 'gridd' } @{ $all->{processes} };
    like($gridd->{since}, qr/^\d{4}-\d\d-\d\dT[\d:]+Z$/, 'since when a process runs');
    my (undef, $text) = $units->punitctl('eu', 'status');
    like($text, qr/^keys +eu-1 signs, 2 held$/m, 'the same as text');
    like($text, qr/^health +all services are well$/m, 'with the health of the services');
    like($text, qr/^certificate +unit: \d+ days left$/m, 'and the days of certificates');
};

subtest 'status of a unit that is not' => sub {
    mark(us => 'down');
    my ($status, $all) = json('status');
    is($all->{front}{marks}[0]{mark}, 'down', 'a peer that is marked down');
    like(($units->punitctl('eu', 'status'))[1], qr/^marks +us down$/m, 'as text');
    mark(us => 'up');
    $units->process('eu', 'sports', 'down');
    ($status, $all) = json('status');
    is($status, 1, 'a service that is down: exit code 1');
    is_deeply([map { $_->{service} } grep { $_->{status} != 200 } @{ $all->{front}{services} }],
        ['sports'], 'which is named');
    $units->process('eu', 'sports', 'up');
    $units->punitctl('eu', 'drain', 'eu', '--to', 'us', '--within', '0');
    ($status, $all) = json('status');
    is("$all->{drain}{to} $all->{drain}{left}", 'us 0', 'a drain');
    like($all->{drain}{since}, qr/^[\d-]+T[\d:]+Z$/, 'since when');
    like(($units->punitctl('eu', 'status'))[1], qr/^drain +to us since .*: 0 of 0 users/m,
        'as text');
    $units->punitctl('eu', 'drain', 'eu', '--end');
SKIP: {
        skip 'only root may mount', 1 if $> != 0;
        $all = json_with("mount -t tmpfs -o size=64m,mode=755 none $eu/pg", 'status');
        is($all->{disk}[1]{state}, 'full', 'a disk with less than 1 GiB');
        ok(!$all->{good}, 'is not good');
    }
};

# ---- doctor
my ($status, $all);
ok(wait_until(sub { ($status, $all) = json('doctor'); $status == 0 }, 20),
    'doctor finds no fault with a unit that is well')
    or diag(explain $all);
is_deeply(
    [sort keys %{ { map { $_->{check} => 1 } @{ $all->{findings} } } }],
    [qw(certificates clocks database disk files grid limits names peers ports processes)],
    'each check says something'
);
like(($units->punitctl('eu', 'doctor'))[1], qr/^ok +peers +us: its PostgreSQL answers$/m,
    'one line each');

doctor_says(
    'processes',
    sub { $units->process('eu', 'mover', 'down') },
    sub { $units->process('eu', 'mover', 'up') },
    qr{^fail: mover does not run: start it; log/mover.log},
    'a process that is down'
);

my $held;
my $http = $units->port('eu');
doctor_says(
    'ports',
    sub {
        $units->process('eu', 'nginx', 'down');
        $held = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$http", Listen => 1, ReuseAddr => 1)
            or die $!;
    },
    sub { close $held; $units->process('eu', 'nginx', 'up') },
    qr/^fail: 127.0.0.1:$http: another program listens there.*`ss -ltnp` names/,
    'an address that another program has'
);
doctor_says(
    with_setting(
        'PUNIT_HTTP=192.0.2.1:8080', 'ports',
        qr/^fail: 192.0.2.1:8080 is no address of this machine/,
        'an address of another machine'
    )
);
doctor_says(
    with_setting(
        'PUNIT_HTTP=127.0.0.1:9', 'ports', qr/^fail: 127.0.0.1:9: nginx runs and does not listen/,
        'an address where NGINX does not listen'
    )
);

doctor_says(
    'files',
    sub { chmod oct 644, "$eu/private/pepper" },
    sub { chmod oct 600, "$eu/private/pepper" },
    qr{^fail: \S+/private/pepper may be read by others \(mode 644\): chmod go= },
    'a secret that others may read'
);
doctor_says(
    'files',
    sub { chmod oct 755, "$eu/private" },
    sub { chmod oct 700, "$eu/private" },
    qr{^fail: \S+/private may be read by others},
    'a directory of secrets that is open'
);

my $certificate = slurp("$eu/tls/unit.pem");
doctor_says(
    'certificates',
    sub { spew("$eu/tls/unit.pem", slurp($units->dir . '/us/tls/unit.pem')) },
    sub { spew("$eu/tls/unit.pem", $certificate) },
    qr{^fail: unit: \S+unit.key does not belong to \S+unit.pem: replace it},
    'a certificate of another key'
);

my ($version, $serves) =
    $units->dbh('eu')->selectrow_array('select version, serves from punit.schema_version');
doctor_says(
    'database',
    sql(
        'delete from punit.schema_version',
        "insert into punit.schema_version (version, serves) values ($version, $serves)"
    ),
    qr/^fail: the schema has version 0, and these programs need \d+: punitctl schema/,
    'a schema that is too old'
);
doctor_says(
    'database',
    sql(
        'update punit.schema_version set version = 99, serves = 99',
        "update punit.schema_version set version = $version, serves = $serves"
    ),
    qr/^fail: the schema serves programs from version 99 on/,
    'a schema that is too new'
);
doctor_says(
    with_setting(
        'PUNIT_PG_POOL=900', 'database', qr/^warn: max_connections is \d+, .*lower PUNIT_PG_POOL/,
        'pools that are larger than max_connections'
    )
);
doctor_says(
    'database',
    sub { $ENV{PUNIT_PG_BIN} = '/nonexistent/postgresql/99/bin' },
    sub { delete $ENV{PUNIT_PG_BIN} },
    qr/^fail: the cluster is of PostgreSQL \d+, and 99 is installed: install postgresql-\d+/,
    'programs of another PostgreSQL'
);

doctor_says(
    'grid',
    sub { $units->process('eu', 'tokens', 'down') },
    sub { $units->process('eu', 'tokens', 'up') },
    qr/^fail: tokens: \S+ does not answer: start it/,
    'a memcached that is down'
);

my $listener = $units->one('eu', q{select listener from punit.peer where id = 'us'});
doctor_says(
    'names',
    sql(
        q{update punit.peer set listener = 'nowhere.invalid:1' where id = 'us'},
        qq{update punit.peer set listener = '$listener' where id = 'us'}
    ),
    qr/^fail: us: nowhere.invalid: .*: correct DNS/,
    'a name that does not resolve'
);

doctor_says(
    'peers',
    sub { mark(us => 'down') },
    sub { mark(us => 'up') },
    qr/^warn: us: marked down, .*: punitctl peer us --up/,
    'a peer that is still marked down'
);
doctor_says(
    'peers',
    sub { $units->process('us', 'nginx', 'down') },
    sub { $units->process('us', 'nginx', 'up') },
    qr/^fail: us: its NGINX at $listener does not answer: .*: start its NGINX/,
    'a peer whose NGINX is away'
);
my $pg = $units->one('eu', q{select pg from punit.peer where id = 'us'});
doctor_says(
    'peers',
    sql(
        q{update punit.peer set pg = regexp_replace(pg, 'port=\d+', 'port=9') where id = 'us'},
        qq{update punit.peer set pg = '@{[ $pg =~ s/'/''/gr ]}' where id = 'us'}
    ),
    qr/^fail: us: its PostgreSQL does not answer: .*: start its PostgreSQL/,
    'a peer whose PostgreSQL is away'
);

# a peer whose clock is ahead: its clock_timestamp() is another function for this unit
my $us = $units->connect('us');
$us->do('create schema tick');
$us->do('grant usage on schema tick to public');
$us->do(q{alter role punit_peer_eu set search_path = tick, pg_catalog});

sub tick {
    my ($seconds) = @_;
    return sub {
        $us->do('set search_path = pg_catalog');
        $us->do(
            qq{create or replace function tick.clock_timestamp() returns timestamptz language sql
                as \$\$ select pg_catalog.clock_timestamp() + interval '$seconds seconds' \$\$}
        );
        $us->do('grant execute on function tick.clock_timestamp() to public');
    };
}
doctor_says('clocks', tick(3), sub { }, qr/^warn: us: its clock is 3\.\d s ahead .*NTP/,
    'a clock that is 3 s ahead');
doctor_says('clocks', tick(-9), sub { }, qr/^fail: us: its clock is [89]\.\d s behind .*NTP/,
    'a clock that is 9 s behind');
$us->do('alter role punit_peer_eu reset search_path');

SKIP: {
    skip 'only root may mount', 4 if $> != 0;
    my $small = json_with("mount -t tmpfs -o size=64m,mode=755 none $eu/pg", 'doctor');
    my ($disk) = grep { $_->{check} eq 'disk' && $_->{result} eq 'fail' } @{ $small->{findings} };
    like($disk->{found} // '', qr{/pg: \S+ % free}, 'disk: one with less than 1 GiB')
        or diag(explain $small);
    $small = json_with('mount -t tmpfs -o size=1m none /dev/shm', 'doctor');
    my ($shm) = grep { $_->{found} =~ /shm/ } @{ $small->{findings} };
    is("$shm->{result}: $shm->{found}", 'warn: /dev/shm has 1 MiB', 'limits: shared memory');
    my $pid = $units->pid('eu', 'nginx');
    is(system(as_punit(), 'prlimit', '--pid', $pid, '--nofile=1024:'), 0, 'prlimit');
    doctor_says('limits', sub { }, sub { }, qr/^warn: NGINX may open 1024 files: raise its limit/,
        'open files of NGINX');
}

ok(wait_until(sub { ($status, $all) = json('doctor'); $status == 0 }, 20),
    'in the end it finds no fault again')
    or diag(explain $all);

done_testing;
