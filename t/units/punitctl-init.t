#!/usr/bin/perl
# punitctl without servers around it: units from nothing, the schema, what is refused.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use Test::More;

use Punit::Command qw(as_punit capture punit_user);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory port_base);
use Punit::Tree qw(module program root);

my $source = root();
my $dir = directory('ctl');
my $user = (punit_user())[0];

# its own copy of the schema, to change; readable for the unit's user, which the checkout may not be
mkdir "$dir/share";
for my $part ('sql', 'conf', 'workers') {
    system('cp', '-r', "$source/$part", "$dir/share/$part") == 0 or die "cp: $?";
}
system('chmod', '-R', 'a+rX', $dir);
copy(module(), "$dir/module.so") or die "module: $!";
chmod 0755, "$dir/module.so";
$ENV{PUNIT_SHARE} = "$dir/share";
$ENV{PUNIT_MODULE} = "$dir/module.so";

my $base = port_base();
my @port = map { $base + $_ } 0 .. 4;
my @address = map { ("--$_->[0]", "127.0.0.1:$_->[1]") } ['http', $port[1]], ['peer', $port[2]],
    ['pg', $port[3]];
my @shared = ('--ca', "$dir/ca", '--pepper', "$dir/pepper");

sub ctl { my @arguments = @_; return capture(program('punitctl'), @arguments) }

sub mode { my ($file) = @_; return sprintf '%o', (stat $file)[2] & oct 7777 }

my ($status, $output) =
    ctl('unit', 'init', 'eu', '--dir', "$dir/eu", @address, @shared, 'PUNIT_MOVE_DWELL=1s');
is($status, 0, 'a unit is made from nothing') or diag($output);
like($output, qr/^eu: made the signing key eu-1/m, 'each step is said in a line');
like(
    $output, qr/^eu: applied tables\/010-schema\.sql$/m,
    'the schema is applied in name order from its first file'
);

subtest 'secrets are for the unit\'s user alone' => sub {
    is(mode("$dir/eu/private"), '700', 'private/');
    is(mode("$dir/eu/private/eu-1.ES256.key.pem"), '600', 'the signing key');
    is(mode("$dir/eu/private/pepper"), '600', 'the pepper');
    is(mode("$dir/eu/tls/unit.key"), '600', 'the certificate\'s key');
    is(mode("$dir/ca/ca.key"), '600', 'the authority\'s key');
    is((getpwuid((stat "$dir/eu/pg")[4]))[0], $user,
        'PostgreSQL\'s files belong to the user that runs it');
};

like(slurp("$dir/eu/unit.env"), qr/^PUNIT_MOVE_DWELL=1s$/m,
    'a setting given to unit init is in unit.env');
is(
    system(
        'sh', '-c',
        ". $dir/eu/unit.env && test \"\$PUNIT_PG\" = 'host=$dir/eu/sock port=$port[3] dbname=punit'"
    ),
    0,
    'sh reads unit.env'
);

subtest 'the certificate names the unit and is signed by the authority' => sub {
    my $text =
        `openssl x509 -in $dir/eu/tls/unit.pem -noout -subject \\
            -ext subjectAltName,extendedKeyUsage 2>&1`;
    like($text, qr/CN ?= ?eu\b/, 'CN, from which PostgreSQL takes the peer');
    like($text, qr/DNS:eu\b/, 'DNS name, which NGINX and libpq verify');
    like($text, qr/Client Auth/, 'for clients');
    like($text, qr/Server Auth/, 'and for servers');
    like(`openssl verify -CAfile $dir/ca/ca.pem $dir/eu/tls/unit.pem 2>&1`, qr/: OK/,
        'openssl verifies it');
};

like(
    `openssl pkey -pubin -in $dir/eu/keys/eu-1.ES256.pem -noout -text 2>&1`, qr/prime256v1/,
    'the public key for tokens is on P-256'
);

my %before = map { $_ => (stat $_)[9] . slurp($_) }
    glob "$dir/eu/nginx/unit/* $dir/eu/sv/*/run $dir/eu/*.env $dir/eu/tls/*";
($status, $output) = ctl('unit', 'init', 'eu', '--dir', "$dir/eu", @shared);
is($status, 0, 'unit init works a second time') or diag($output);
like($output, qr/schema: version \d+, nothing to do/, 'and applies no file again');
is_deeply({ map { $_ => (stat $_)[9] . slurp($_) } keys %before }, \%before, 'and changes no file');

unlink "$dir/eu/sv/mover/run", "$dir/eu/keys/eu-1.ES256.pem";
($status, $output) = ctl('unit', 'init', 'eu', '--dir', "$dir/eu");
ok(
    $status == 0 && -x "$dir/eu/sv/mover/run" && -s "$dir/eu/keys/eu-1.ES256.pem",
    'unit init makes again what is missing'
) or diag($output);

# ---- refusals
($status, $output) = ctl('unit', 'init', 'us', '--dir', "$dir/eu");
is($status, 1, 'a directory of another unit is refused');
like($output, qr/is unit eu already/, 'and said');

spew("$dir/other-pepper", 'ab' x 32, "\n");
($status, $output) = ctl('unit', 'init', 'eu', '--dir', "$dir/eu", '--pepper', "$dir/other-pepper");
is($status, 1, 'another pepper than before is refused') or diag($output);

for my $case (
    ['EU', [], 2, qr/\[a-z0-9-\]/, 'an id in capitals'],
    ['eu_1', [], 2, qr/\[a-z0-9-\]/, 'an id with an underscore'],
    ['ap', ['--http', 'ap.invalid:80'], 1, qr/cannot resolve ap\.invalid/, 'a name of no address'],
    ['ap', ['--pg', '127.0.0.1:70000'], 1, qr/IPv4 address and port/, 'a port above 65535'],
    ['ap', ['--admin', 'on'], 1, qr/IPv4 address and port/, 'an admin side that is no address'],
    ['ap', ['PUNIT_ADMIN=on'], 1, qr/not "on"; or off/, 'nor is one by its setting'],
    [
        'ap', ['--http', '127.0.0.1:81', '--admin', '127.0.0.1:81'],
        1, qr/PUNIT_HTTP and PUNIT_ADMIN are both/,
        'an admin side on the public address'
    ],
    [
        'ap', ['PUNIT_ADMIN_HOSTS=ok.example .*'],
        1, qr/expected names of hosts/,
        'a pattern in place of a host'
    ],
    ['ap', ['PUNIT_X=$(id)'], 1, qr/expected a setting/, 'a setting that sh would run'],
    ['ap', ['PATH=/'], 1, qr/expected a setting/, 'a setting of another\'s name'],
    ['ap', [], 1, qr/needs a certificate/, 'a unit without a certificate'],
    ['ap', ['--cert', '/nonexistent'], 2, qr/go together/, 'a certificate without its key'],
    ['ap', ['--nonsense'], 2, qr/no option --nonsense/, 'an unknown option'],
    )
{
    my ($id, $more, $want, $said, $what) = @$case;
    ($status, $output) = ctl('unit', 'init', $id, '--dir', "$dir/refused", @$more);
    ok($status == $want && $output =~ $said, "$what is refused with $want")
        or diag("$status: $output");
}

my $long = "$dir/" . 'x' x 90;
($status, $output) = ctl('unit', 'init', 'ap', '--dir', $long, @shared);
like($output, qr/too long for unix sockets/,
    'a path too long for sockets is refused before anything is made');

# a certificate of another unit
($status, $output) = ctl(
    'unit', 'init', 'ap', '--dir', "$dir/ap", '--cert', "$dir/eu/tls/unit.pem",
    '--key', "$dir/eu/tls/unit.key", '--cacert', "$dir/ca/ca.pem"
);
ok($status == 1 && $output =~ /CN=ap is needed/, 'a certificate that names another unit is refused')
    or diag($output);
remove_tree("$dir/ap", "$dir/refused");

# ---- the schema
sub write_sql {
    my ($name, $text) = @_;
    return spew("$dir/share/sql/$name", $text);
}

# ---- PostgreSQL's programs are of the version that made the cluster
chomp(my $version = slurp("$dir/eu/pg/PG_VERSION"));
my $bin = "/usr/lib/postgresql/$version/bin";
like(slurp("$dir/eu/sv/postgres/run"), qr/^exec '\Q$bin\E\/postgres'/m,
    'the run script has the version that made the cluster');
spew("$dir/eu/pg/PG_VERSION", "99\n");
($status, $output) = ctl('unit', 'init', 'eu', '--dir', "$dir/eu");
ok(
    $status == 1 && $output =~ /made by PostgreSQL 99,.*install postgresql-99/,
    'a cluster whose version is not installed is not run by another one'
    )
    or diag($output);
spew("$dir/eu/pg/PG_VERSION", "$version\n");

# systemd's own line, as the shell gets it from there
my ($line) =
    slurp("$source/conf/systemd/punit-postgres.service") =~ /^ExecStart=\/bin\/sh -c '([^']+)'$/m
    or BAIL_OUT('no ExecStart with a line for sh');
$line =~ s/\\\n/ /g;
$line =~ s/\$\$/\$/g;
is(
    qx(PUNIT_DIR=$dir/eu PUNIT_PG_BIN=/nonexistent sh -c '$line' 2>&1) =~ m{(/nonexistent/postgres)}
    ? $1 : undef,
    '/nonexistent/postgres', 'systemd starts the programs that PUNIT_PG_BIN names'
);

# the server for these, through the socket alone
my $postgres = Punit::Server->new(
    cmd => [as_punit(), 'env', "PUNIT_DIR=$dir/eu", 'sh', '-c', $line],
    log => "$dir/eu/log/postgres.log", cwd => $dir,
);
$postgres->start->until(
    sub { system("$bin/pg_isready", '-q', '-h', "$dir/eu/sock", '-p', $port[3]) == 0 },
    'takes connections'
);
is(
    readlink('/proc/' . (split /\n/, slurp("$dir/eu/pg/postmaster.pid"))[0] . '/exe'),
    "$bin/postgres", 'or those of the version that made the cluster'
);

# t/sql/schema.t has the rest of what `schema` does
write_sql('tables/990-first.sql', "create table punit.first ();\n");
($status, $output) = ctl('schema', '--dir', "$dir/eu", '--dry-run');
ok(
    $status == 3 && $output =~ /would apply tables\/990-first\.sql/,
    'a dry run says what `schema` would do, and exits with 3'
    )
    or diag($output);
($status, $output) = ctl('schema', '--dir', "$dir/eu");
ok(
    $status == 0 && $output =~ /applied tables\/990-first\.sql/,
    'a new file is applied by `schema`'
) or diag($output);

write_sql(
    'tables/991-broken.sql',
    "create table punit.second ();\n-- \x{c3}\x{a4}\nselect nonsense;\n"
);
write_sql('tables/992-after.sql', "create table punit.third ();\n");
($status, $output) = ctl('schema', '--dir', "$dir/eu");
is($status, 1, 'a broken file fails');
like($output, qr/tables\/991-broken\.sql line 3: /, 'with its name and the line');
unlike($output, qr/applied tables\/992/, 'and what comes after it is not applied');

write_sql('tables/991-broken.sql', "create table punit.second ();\n");
($status, $output) = ctl('schema', '--dir', "$dir/eu");
is($status, 0, 'nothing of the broken file was left, so the mended one applies') or diag($output);

write_sql('tables/990-first.sql', "create table punit.first (changed int);\n");
($status, $output) = ctl('schema', '--dir', "$dir/eu");
ok(
    $status == 1 && $output =~ /tables\/990-first\.sql was changed after it was applied/,
    'an altered applied file is refused by name'
    )
    or diag($output);

($status, $output) = ctl('status', '--dir', "$dir/eu", '--json');
like(
    $output, qr/"schema": \{\s*"version": (\d+),\s*"serves": \d+,\s*"program": \1,\s*"fits": true/,
    'status shows the version of the schema'
    )
    or diag($output);
($status, $output) = ctl('status', '--dir', "$dir/eu");
like(
    $output,
    qr/^schema +version (\d+), serves programs from version \d+ on; this program: version \1$/m,
    'in the table too'
) or diag($output);

# ---- templates
open my $template, '>>', "$dir/share/conf/templates/postgres/punit.conf" or die "punit.conf: $!";
print {$template} "port = \@PUNIT_NO_SUCH\@\n";
close $template or die "punit.conf: $!";
($status, $output) = ctl('unit', 'init', 'eu', '--dir', "$dir/eu", @address, @shared);
is($status, 1, 'a placeholder without a value fails');
like($output, qr{templates/postgres/punit\.conf: no value for \@PUNIT_NO_SUCH\@},
    'with the template and its name');

# ---- words
for my $verb (['--help'], ['status', '--help'], ['unit', 'init', '--help']) {
    ($status, $output) = ctl(@$verb);
    is($status, 0, "punitctl @$verb helps");
}
($status) = ctl('nonsense');
is($status, 2, 'an unknown verb is misuse');
($status, $output) = ctl('status', '--dir', "$dir/nowhere");
ok($status == 1 && $output =~ /holds no unit/, 'a directory without a unit is named');
($status, $output) = ctl('user', 'x', '--dir', "$dir/eu");
ok($status == 1 && $output =~ /neither a user's id nor an e-mail address/,
    'a user is an id or an address');
($status, $output) = ctl('user', 'nobody@example.org', '--dir', "$dir/eu");
ok($status == 1 && $output =~ /has no user nobody/, 'an unknown address is said to be unknown');

$postgres->stop('INT');
($status, $output) = ctl('moves', '--dir', "$dir/eu");
ok($status == 1 && $output =~ /no PostgreSQL.*is it running/s,
    'PostgreSQL down is said, and where to look')
    or diag($output);

done_testing();
