#!/usr/bin/perl
# The configuration of a unit survives its operator: files that were changed by hand, own files,
# own lines of unit.env, and a good certificate when a bad one is given.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use Test::More;

use Punit::Authority;
use Punit::Command qw(as_punit capture);
use Punit::File qw(append slurp spew);
use Punit::Server qw(directory port_base);
use Punit::Tree qw(module program root);

my $source = root();
my $dir = directory('configuration');

# its own copy of what a release brings, to change
mkdir "$dir/share";
for my $part ('sql', 'conf', 'workers') {
    system('cp', '-r', "$source/$part", "$dir/share/$part") == 0 or die "cp: $?";
}
copy(module(), "$dir/module.so") or die "module: $!";
chmod 0755, "$dir/module.so";
system('chmod', '-R', 'a+rX', $dir);
$ENV{PUNIT_SHARE} = "$dir/share";
$ENV{PUNIT_MODULE} = "$dir/module.so";

my $eu = "$dir/eu";
my $base = port_base();
my @port = map { $base + $_ } 0 .. 4;
my @address = map { ("--$_->[0]", "127.0.0.1:$_->[1]") } ['http', $port[1]], ['peer', $port[2]],
    ['pg', $port[3]];

sub ctl { my @arguments = @_; return capture(program('punitctl'), @arguments) }
sub init { my @more = @_; return ctl('unit', 'init', 'eu', '--dir', $eu, @more) }

sub template {
    my ($name, $line) = @_;
    return append("$dir/share/conf/templates/$name", "$line\n");
}

# path => content of all files of the configuration
sub files {
    return map { $_ => slurp($_) }
        grep {-f} glob "$eu/unit.env $eu/nginx/* $eu/nginx/*/* $eu/nginx/local/*/* $eu/tls/*"
        . " $eu/pg/*.conf $eu/pg/*.new $eu/sv/*/*";
}

my ($status, $output) = init(@address, '--ca', "$dir/ca", '--pepper', "$dir/pepper");
is($status, 0, 'a unit is made') or BAIL_OUT($output);

# it runs, so that no later call has to start it
my ($bin) = sort { ($b =~ /(\d+)/)[0] <=> ($a =~ /(\d+)/)[0] } glob '/usr/lib/postgresql/*/bin';
my $postgres = Punit::Server->new(
    cmd => [as_punit(), "$bin/postgres", '-D', "$eu/pg"], log => "$eu/log/postgres.log",
    cwd => $dir,
);
$postgres->start->until(
    sub { system("$bin/pg_isready", '-q', '-h', "$eu/sock", '-p', $port[3]) == 0 },
    'takes connections'
);

# ---- hooks
my @hooks = map {"$eu/nginx/local/$_.d"} qw(http public locations admin);
is(scalar(grep { -d && !glob "$_/*" } @hooks), 4, 'the directories of own files are there, empty');
spew("$_/own.conf", "# own\n") for @hooks;

# ---- changed by hand, the release is the same
my %hand = (
    "$eu/nginx/nginx.conf" => '# tuned',
    "$eu/nginx/unit/public.conf" => '# own listen',
    "$eu/nginx/punit_proxy_params" => '# own header',
    "$eu/pg/pg_hba.conf" => 'hostssl punit monitor 10.0.0.9/32 cert',
    "$eu/sv/auth/run" => '# own ulimit',
);
append($_, "$hand{$_}\n") for keys %hand;
my %before = files();
($status, $output) = init();
ok($status == 0 && $output !~ /by hand/, 'files changed by hand are no matter to the same release')
    or diag($output);
is_deeply({ files() }, \%before, 'and nothing is written');

# ---- changed by hand, the release brings another text
template('nginx/nginx.conf', '# news');
template('nginx/public.conf', '# news');
template('postgres/pg_hba.conf', '# news');
template('sv/service', '# news');
append("$dir/share/conf/punit_proxy_params", "# news\n");
($status, $output) = init();
is($status, 1, 'another text of the release for a changed file: exit code 1') or diag($output);
for my $file (sort keys %hand) {
    like($output, qr/eu: \Q$file\E was changed by hand and stays/, "$file is named");
    is(slurp($file), $before{$file}, 'and is as the operator left it');
    like(slurp("$file.new", absent => ''), qr/^# news$/m, 'and the new text is beside it');
    unlike(slurp("$file.new", absent => ''), qr/^\Q$hand{$file}\E$/m, 'as the release has it');
}
like(slurp("$eu/sv/mover/run"), qr/^# news$/m, 'a file that nobody changed is written');
ok(!-e "$eu/sv/mover/run.new", 'with nothing beside it');
like($output, qr/unit eu is ready/, 'all else went on');

%before = files();
($status, $output) = init();
is($status, 1, 'it stays so until the operator has settled it');
is_deeply({ files() }, \%before, 'and nothing more is written');

# one is merged, one is taken, one is refused
append("$eu/nginx/nginx.conf", "# news\n");
unlink "$eu/nginx/nginx.conf.new", "$eu/pg/pg_hba.conf.new", "$eu/sv/auth/run.new",
    "$eu/nginx/punit_proxy_params.new";
rename "$eu/nginx/unit/public.conf.new", "$eu/nginx/unit/public.conf" or die "rename: $!";
%before = files();
($status, $output) = init();
ok($status == 0 && $output !~ /by hand/, 'without FILE.new it is settled') or diag($output);
is_deeply({ files() }, \%before, 'and nothing is written');

template('nginx/public.conf', '# second');
template('sv/service', '# second');
($status, $output) = init();
like(slurp("$eu/nginx/unit/public.conf"), qr/^# second$/m,
    'a file that the operator took from FILE.new is the release\'s again');
is($status, 1, 'a file that the operator kept is named with the next text') or diag($output);
like(slurp("$eu/sv/auth/run.new"), qr/^# second$/m, 'which is beside it');

($status, $output) = init('--force');
is($status, 0, '--force writes all of them') or diag($output);
for my $file ("$eu/nginx/nginx.conf", "$eu/pg/pg_hba.conf", "$eu/sv/auth/run") {
    like(slurp("$file.old", absent => ''), qr/^\Q$hand{$file}\E$/m, "$file.old is the operator's");
    unlike(slurp($file), qr/^\Q$hand{$file}\E$/m, 'the file is the release\'s');
    ok(!-e "$file.new", 'and nothing waits');
}
template('sv/service', '# third');
($status, $output) = init();
ok($status == 0 && slurp("$eu/sv/auth/run") =~ /^# third$/m, 'which goes on as before')
    or diag($output);
is_deeply([map { slurp("$_/own.conf") } @hooks], [("# own\n") x 4], 'own files are as they were');
is(scalar(map { glob "$_/*" } @hooks), 4, 'with no other file beside them');

# ---- unit.env
my $env = slurp("$eu/unit.env");
$env =~ s/^(PUNIT_MOVERS=)/# more movers: ticket 7\n$1/m;
spew("$eu/unit.env", "# the unit of Europe\n\n$env\n# own end\nPUNIT_THREADS=32\n");
my @lines = split /\n/, slurp("$eu/unit.env");
($status, $output) = init('PUNIT_MOVERS=6', 'PUNIT_COPY_KEEP=9d');
is($status, 0, 'a setting is changed') or diag($output);
s/^PUNIT_MOVERS=4$/PUNIT_MOVERS=6/ for @lines;
is_deeply([split /\n/, slurp("$eu/unit.env")], [@lines, 'PUNIT_COPY_KEEP=9d'],
    'in its line of unit.env; comments, blanks, order and own settings stay');

# ---- unit add and schema
sub write_units {
    my @peers = @_;
    return spew("$dir/units", map {"$_\n"} "eu @address[1, 3, 5]", @peers);
}
write_units('us 127.0.0.1:1 127.0.0.1:2 127.0.0.1:3');
($status, $output) = ctl('unit', 'add', "$dir/units", '--dir', $eu);
is($status, 0, 'a peer is added') or diag($output);
my $peers = "$eu/nginx/unit/peers.conf";
append($peers, "# own\n");
($status, $output) = ctl('unit', 'add', "$dir/units", '--dir', $eu);
ok($status == 0 && $output !~ /by hand/, 'the same peers and a changed peers.conf: nothing is said')
    or diag($output);
write_units('us localhost:1 localhost:2 localhost:3', 'ap [::1]:1 [::1]:2 [::1]:3');
($status, $output) = ctl('unit', 'add', "$dir/units", '--dir', $eu);
is($status, 1, 'other peers and a changed peers.conf: exit code 1');
like($output, qr/\Q$peers\E was changed by hand/, 'and it is named');
like(slurp($peers), qr/^# own$/m, 'and stays');
like(slurp("$peers.new"), qr/^    server \[::1\]:2 max_fails=0;$/m, 'the new one is beside it');

sub conninfo {
    my ($unit) = @_;
    my ($failed, $pg) = capture(
        as_punit(), "$bin/psql", '-h', "$eu/sock", '-p', $port[3], '-U', 'postgres', '-Atd',
        'punit',
        '-c', "select pg from punit.peer where id = '$unit'"
    );
    return $failed ? "psql: $pg" : $pg;
}
like(conninfo('ap'), qr/hostaddr=::1 /, 'all else went on: the peer is known, by IPv6');
like(conninfo('us'), qr/host=us(,us)* hostaddr=127\.0\.0\.1\b/,
    'a name is resolved, and the certificate must show the unit\'s id');
unlike(conninfo('us'), qr/localhost/, 'whatever the name is');
($status, $output) = ctl('unit', 'add', "$dir/units", '--dir', $eu, '--force');
is($status, 0, '--force writes peers.conf') or diag($output);
like(slurp($peers), qr/^    server localhost:2 max_fails=0;$/m, 'NGINX resolves a name itself');
like(slurp("$peers.old"), qr/^# own$/m, 'and peers.conf.old is the operator\'s');

append("$eu/nginx/nginx.conf", "# own\n");
%before = files();
spew("$dir/share/sql/tables/990-first.sql", "create table punit.first ();\n");
($status, $output) = ctl('schema', '--dir', $eu);
ok($status == 0 && $output =~ /applied/, 'schema works beside changed files') or diag($output);
is_deeply({ files() }, \%before, 'and changes none');

# ---- certificates: a bad one is refused before anything is written
my $authority = Punit::Authority->new($dir, 'own');
$authority->certify('eu')->certify('other', 'eu')->certify('us');
Punit::Authority->new($dir, 'foreign')->certify('forged', 'eu');
my @own = ('--cacert', "$dir/own.pem");
($status, $output) = init(@own, '--cert', "$dir/eu.pem", '--key', "$dir/eu.key");
is($status, 0, 'a given certificate takes the place of the one before') or diag($output);
is(slurp("$eu/tls/unit.pem") . slurp("$eu/tls/unit.key") . slurp("$eu/tls/ca.pem"),
    slurp("$dir/eu.pem") . slurp("$dir/eu.key") . slurp("$dir/own.pem"), 'all three files of it');

capture(
    'openssl', 'x509', '-req', '-in', "$dir/eu.csr", '-CA', "$dir/own.pem", '-CAkey',
    "$dir/own.key", '-days', '-1', '-extfile', "$dir/eu.ext", '-out', "$dir/late.pem"
);
capture('openssl', 'ec', '-aes128', '-passout', 'pass:secret', '-in', "$dir/eu.key",
    '-out', "$dir/locked.key");
spew("$dir/garbage.pem", "no PEM\n");
%before = files();
for my $case (
    ['other.pem', 'eu.key', qr/eu\.key does not belong to \S+other\.pem/, 'of another key'],
    ['late.pem', 'eu.key', qr/late\.pem is not good under .*: certificate has expired/, 'expired'],
    ['forged.pem', 'forged.key', qr/forged\.pem is not good under \S+own\.pem/, 'forged'],
    ['us.pem', 'us.key', qr/us\.pem has CN=us/, 'of another unit'],
    ['garbage.pem', 'eu.key', qr/garbage\.pem is no certificate in PEM/, 'no certificate'],
    ['eu.pem', 'locked.key', qr/locked\.key is no private key in PEM without a pass/, 'locked'],
    )
{
    my ($certificate, $key, $said, $what) = @$case;
    ($status, $output) = init(@own, '--cert', "$dir/$certificate", '--key', "$dir/$key",
        'PUNIT_MOVERS=9');
    ok($status == 1 && $output =~ $said, "a certificate that is $what is refused by name")
        or diag($output);
    is_deeply({ files() }, \%before, 'and nothing is written') or last;
}

# ---- HTTPS for clients, and addresses
my @https = ('--https', "127.0.0.1:$port[4]");
my @pair = ('--https-cert', "$dir/us.pem", '--https-key', "$dir/us.key");
for my $case (
    [[@https], qr/needs a certificate for clients/, 'HTTPS without a certificate'],
    [[@https, @pair[0, 1]], qr/go together/, 'a certificate without its key', 2],
    [
        [@https, @pair[0, 1], '--https-key', "$dir/eu.key"],
        qr/eu\.key does not belong to \S+us\.pem/, 'a key of another certificate'
    ],
    [
        [@https, '--https-cert', "$dir/late.pem", '--https-key', "$dir/eu.key"],
        qr/late\.pem has expired/, 'an expired certificate'
    ],
    [
        ['--https', "127.0.0.1:$port[2]", @pair], qr/PUNIT_LISTENER and PUNIT_HTTPS are both/,
        'the address of the peers\' listener'
    ],
    [['PUNIT_HTTPS_REDIRECT=yes'], qr/expected on or off/, 'a redirect that is neither on nor off'],
    [['PUNIT_REAL_IP_FROM=10.0.0.0/33'], qr{not "10\.0\.0\.0/33"}, 'an impossible network'],
    [['PUNIT_REAL_IP_FROM=10.0.0.1; #'], qr/expected networks/, 'a directive in place of one'],
    [['--http', '[::1:80'], qr/--http .*expected a name/, 'half of a bracket'],
    [['--http', '[127.0.0.1]:80'], qr/--http .*expected a name/, 'an IPv4 address in brackets'],
    [['--http', '::1:80'], qr/--http .*expected a name/, 'IPv6 without brackets'],
    [['--pg', '10.0.0.256:80'], qr/--pg .*expected a name/, 'an IPv4 address out of range'],
    [['--peer', 'a;b:80'], qr/--peer .*expected a name/, 'a name with a semicolon'],
    [['--peer', 'eu.invalid:80'], qr/--peer .*cannot resolve eu\.invalid/, 'an unknown name'],
    [['PUNIT_HTTP=nonsense'], qr/\(PUNIT_HTTP\): expected/, 'a setting that is no address'],
    )
{
    my ($more, $said, $what, $exit) = @$case;
    ($status, $output) = init(@$more);
    ok($status == ($exit // 1) && $output =~ $said, "$what is refused") or diag($output);
}
is_deeply({ files() }, \%before, 'and nothing is written for any of them');

spew("$dir/bad-units", "eu @address[1, 3, 5]\nus eu.invalid:1 127.0.0.1:2 127.0.0.1:3\n");
($status, $output) = ctl('unit', 'add', "$dir/bad-units", '--dir', $eu);
ok($status == 1 && $output =~ /bad-units line 2: cannot resolve eu\.invalid/,
    'a name of the units\' file that nobody knows is refused with its line') or diag($output);

# what NGINX says of its version decides the form of HTTP/2
for my $case (['1.22.1', 'old'], ['1.25.0', 'old'], ['1.25.1', 'new'], ['1.26.3 (Debian)', 'new']) {
    my ($version, $want) = @$case;
    spew("$dir/nginx", "#!/bin/sh\necho 'nginx version: nginx/$version' >&2\n");
    chmod 0755, "$dir/nginx";
    local $ENV{PUNIT_NGINX} = "$dir/nginx";
    ($status, $output) = init(@https, @pair);
    is($status, 0, "HTTPS with nginx $version") or diag($output);
    my $public = slurp("$eu/nginx/unit/public.conf");
    my $old = $public =~ /^listen +127\.0\.0\.1:\Q$port[4]\E ssl http2;$/m && $public !~ /^http2/m;
    my $new = $public =~ /^listen +127\.0\.0\.1:\Q$port[4]\E ssl;\nhttp2 +on;$/m;
    ok($want eq 'old' ? $old : $new, "has HTTP/2 in the $want form") or diag($public);
}
is((stat "$eu/tls/https.key")[2] & oct 7777, oct 600, 'the key is for the unit\'s user alone');
($status, $output) = init('PUNIT_HTTPS=off');
unlike(slurp("$eu/nginx/unit/public.conf"), qr/ssl|308/, 'PUNIT_HTTPS=off takes HTTPS away');
$postgres->stop('INT');

# ---- a unit that release 0.2.0 made
my $old = "$dir/old-share";
mkdir $old;
system('cp', '-r', "$dir/share/sql", "$dir/share/conf/released/0.2.0/workers", $old) == 0
    or die "cp: $?";
system('cp', '-r', "$source/conf/released/0.2.0", "$old/conf") == 0 or die "cp: $?";
# it had no admin side
my $admin = 'nginx/admin.conf';
spew("$old/conf/templates/$admin", slurp("$source/conf/templates/$admin"));
# which had no admin side, and this punitctl makes the unit
system('cp', "$source/conf/templates/nginx/admin.conf", "$old/conf/templates/nginx") == 0
    or die "cp: $?";
system('chmod', '-R', 'a+rX', $old);
remove_tree($eu);
{
    local $ENV{PUNIT_SHARE} = $old;
    ($status, $output) = init(@address, '--ca', "$dir/ca", '--pepper', "$dir/pepper");
    is($status, 0, 'a unit as release 0.2.0 made it') or diag($output);
    unlink "$eu/nginx/unit/admin.conf" or die "admin.conf: $!";
}
spew($peers, "# written by punitctl\n",
    map {"punit_peer $_;\nupstream $_ {\n    server $_:2 max_fails=0;\n    keepalive 32;\n}\n"}
        'us', 'ap');
unlink "$eu/.written", "$eu/nginx/unit/admin.conf";
remove_tree("$eu/nginx/local", "$eu/nginx/acme");
append("$eu/pg/pg_hba.conf", "$hand{\"$eu/pg/pg_hba.conf\"}\n");
append("$eu/unit.env", "PUNIT_REAL_IP_FROM=10.0.0.1\nPUNIT_HTTPS=127.0.0.1:$port[4]\n");
($status, $output) = init(@pair);
is($status, 1, 'the upgrade names what was changed by hand there') or diag($output);
is(scalar(() = $output =~ /by hand/g), 1, 'one file, and no other');
like($output, qr/\Q$eu\E\/pg\/pg_hba\.conf was changed by hand/, 'the right one');
like(slurp("$eu/nginx/nginx.conf"), qr{^\s+include local/public\.d/\*\.conf;$}m,
    'all others are of this release');
like(slurp("$eu/nginx/unit/public.conf"), qr/set_real_ip_from +10\.0\.0\.1;/,
    'with the settings of unit.env');
write_units('us localhost:1 localhost:2 localhost:3');
like(slurp("$eu/.written"), qr/^nginx\/unit\/peers\.conf /m, 'peers.conf counts as unchanged too');

done_testing();
