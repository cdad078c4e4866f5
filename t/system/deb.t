#!/usr/bin/perl
# The Debian packages, of the programs and of the module: what is in them, what they depend on, and
# that they make a unit out of their own files.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::File qw(slurp spew);
use Punit::Postgres;
use Punit::Server qw(directory port_base);
use Punit::Tree qw(root);
use Punit::Services qw(services);
use Punit::Worker;

my $source = root();
for my $tool (qw(dpkg-deb dpkg-buildpackage dpkg-query dh_nginx)) {
    plan skip_all => "no $tool" if !grep { -x "$_/$tool" } split /:/, $ENV{PATH};
}

my $said = qx(make -C '$source' deb 2>&1);
is($?, 0, 'make deb') or BAIL_OUT($said);
chomp(
    my $version = do { open my $f, '<', "$source/VERSION" or die $!; <$f> }
);
chomp(my $arch = qx(dpkg --print-architecture));
my @packages = ('punit', 'libnginx-mod-http-punit', 'punit-dev', 'punit-doc');
my %arch = map { $_ => $_ eq 'punit-doc' ? 'all' : $arch } @packages;
my %deb = map { $_ => "$source/build/deb/${_}_${version}_$arch{$_}.deb" } @packages;

my (%needs, %file);
for my $package (@packages) {
    my %is = map { /^([\w-]+): (.*)/ ? ($1 => $2) : () } qx(dpkg-deb --field '$deb{$package}');
    is(
        "$is{Package} $is{Version} $is{Architecture}",
        "$package $version $arch{$package}", "$package: its name, version and architecture"
    );
    $needs{$package} = { map { /^([\w.-]+)/ ? ($1 => $_) : () } split /, /, $is{Depends} // '' };
    unlike($is{Depends} // '', qr/-dev\b/, "$package: nothing that only builds need")
        if $package ne 'punit-dev';
}
ok($needs{punit}{$_}, "punit needs $_")
    for qw(nginx postgresql-15 memcached libpq5 libjansson4 libsodium23);
# Debian 13 has them under other names.
ok((grep {/^$_$/} keys %{ $needs{punit} }), "punit needs $_") for qw(libmemcached11(t64)? libjwt\d);
is(
    $needs{punit}{'libnginx-mod-http-punit'},
    "libnginx-mod-http-punit (= $version)", 'and the module of its own version'
);
my ($abi) = qx(dpkg-query -W -f '\${Provides}' nginx) =~ /(nginx-abi[^, ]*)/;
ok($needs{'libnginx-mod-http-punit'}{$abi}, "the module needs the nginx that it is for, $abi");

for (map {qx(dpkg-deb --contents '$deb{$_}')} @packages) {
    my ($mode, $owner, $path) = (split ' ', $_, 6)[0, 1, 5];
    chomp $path;
    $file{ $path =~ s{^\.}{}r } = { mode => $mode, owner => $owner };
}
is_deeply([grep { $file{$_}{owner} ne 'root/root' } sort keys %file], [], 'everything is root\'s');
is_deeply(
    [grep { $file{$_}{mode} =~ /^-.{4}w|^-.{7}w|s|t/ } sort keys %file],
    [], 'nobody else may write to a file'
);
is_deeply(
    [grep {m{/etc/.|/home|/usr/local|/var/}} sort keys %file],
    ['/etc/logrotate.d/', '/etc/logrotate.d/punit'],
    'all files are where packages have them'
);
ok($file{"/usr/share/doc/$_"}, "$_ is there")
    for 'punit/copyright', 'libnginx-mod-http-punit/copyright', 'punit/changelog.gz',
    'punit/OPERATIONS.md', 'punit/openapi.yaml', 'punit-dev/examples/clock.c';

my $base = port_base();
my @port = map { $base + $_ } 0 .. 4;
my $dir = directory('deb');
for my $package (@packages) {
    is(system('dpkg-deb', '-x', $deb{$package}, "$dir/root"), 0, "$package unpacks");
    is(system('dpkg-deb', '-e', $deb{$package}, "$dir/$package"), 0, 'so do its scripts');
}
is(system("sh -n '$dir/punit/$_'"), 0, "$_ is a script") for qw(preinst postinst prerm postrm);
is(system("sh -n '$dir/libnginx-mod-http-punit/$_'"), 0, "$_ of the module is a script")
    for qw(prerm postrm);
ok(!-e "$dir/libnginx-mod-http-punit/postinst", 'Debian\'s own NGINX does not load the module');
is(
    do { local (@ARGV, $/) = "$dir/root/usr/share/nginx/modules-available/mod-http-punit.conf"; <> }
    ,
    "load_module modules/ngx_http_punit_module.so;\n",
    'but an operator can enable it there'
);

my (@missing, $n);
for my $unit (glob "$dir/root/{usr/,}lib/systemd/system/punit*") {
    open my $f, '<', $unit or die "$unit: $!";
    for (grep {/^Exec/} <$f>) {
        for my $program (m{(/usr/bin/punit-[\w%]+)}g) {
            $n++;
            push @missing, grep { !$file{$_} }
                map { $program =~ s/%i/$_/r }
                (services(), qw(gridd mover));
        }
    }
}
ok($n, 'the units of systemd start programs');
is_deeply(\@missing, [], 'which are all there');
if (grep { -x "$_/systemd-analyze" } split /:/, $ENV{PATH}) {
    my $verified = qx(systemd-analyze verify --root='$dir/root' --man=no punit.target 2>&1);
    unlike($verified, qr/Unknown|Failed to parse|Invalid/, 'systemd can read them')
        or diag $verified;
}

# ---- a service of others, built with what is in punit-dev
{
    my ($config) = glob "$dir/root/usr/lib/*/pkgconfig/punit.pc";
    ok($config, 'pkg-config finds punit') or BAIL_OUT('no punit.pc');
    local $ENV{PKG_CONFIG_PATH} = $config =~ s{/punit\.pc$}{}r;
    my ($libdir) = $config =~ m{^(.*)/pkgconfig/};
    my $example = "$dir/root/usr/share/doc/punit-dev/examples";
    my $text = slurp($config);
    $text =~ s{^prefix=.*}{prefix=$dir/root/usr}m;
    spew($config, $text =~ s{^libdir=.*}{libdir=$libdir}mr);
    my $built = qx(make -C '$example' 2>&1);
    is($?, 0, 'the example is built with pkg-config') or diag $built;
    like(qx('$example/punit-clock' --routes), qr{^GET /clock public$}m, 'it is a service');

    my $pg = Punit::Postgres->new(unit => 'eu');
    $pg->apply('punit');
    $pg->dbh->do('create role punit_clock login in role punit_service');
    local $ENV{PUNIT_BIN} = $example;
    my $clock = Punit::Worker->new($pg, 'clock');
    is($clock->get('/clock')->{json}{unit}, 'eu', 'and answers out of the database');
}

if (grep { -x "$_/lintian" } split /:/, $ENV{PATH}) {
    my $found = qx(lintian --allow-root --fail-on error @deb{@packages} 2>&1);
    is($?, 0, 'lintian finds no error') or diag $found;
}

my $ctl = "$dir/root/usr/bin/punitctl";
like(qx('$ctl' --help), qr/unit init/, 'punitctl runs');
SKIP: {
    skip 'no user punit', 2 if $> == 0 && !getpwnam 'punit';
    chown((getpwnam 'punit')[2, 3], $dir) if $> == 0;
    local @ENV{qw(PUNIT_SHARE PUNIT_MODULE)};
    delete @ENV{qw(PUNIT_SHARE PUNIT_MODULE)};
    my $addresses = "--http 127.0.0.1:$port[1] --peer 127.0.0.1:$port[2] --pg 127.0.0.1:$port[3]";
    my $made = qx('$ctl' unit init eu --dir '$dir/eu' $addresses \\
        --ca '$dir/ca' --pepper '$dir/pepper' 2>&1);
    is($?, 0, 'a unit is made with what is in the packages') or diag $made;
    my $module = "$dir/root/usr/lib/nginx/modules/ngx_http_punit_module.so";
    like(
        scalar qx(grep -rh load_module '$dir/eu/nginx'), qr{load_module\s+"?\Q$module\E},
        'with the module'
    );
}

done_testing;
