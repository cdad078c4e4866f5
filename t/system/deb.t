#!/usr/bin/perl
# The Debian package: what is in it, what it depends on, and that it makes a unit out of its own files.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $source = abs_path(dirname(__FILE__) . '/../..');
for my $tool (qw(dpkg-deb dpkg-shlibdeps dpkg-query)) {
    plan skip_all => "no $tool" if !grep { -x "$_/$tool" } split /:/, $ENV{PATH};
}

my $said = qx(make -C '$source' deb 2>&1);
is($?, 0, 'make deb') or BAIL_OUT($said);
chomp(my $version = do { open my $f, '<', "$source/VERSION" or die $!; <$f> });
chomp(my $arch = qx(dpkg --print-architecture));
my $deb = "$source/build/punit_${version}_$arch.deb";

my %field = map { /^([\w-]+): (.*)/ ? ($1 => $2) : () } qx(dpkg-deb --field '$deb');
is("$field{Package} $field{Version} $field{Architecture}", "punit $version $arch", 'its name, version and architecture');
my %needs = map { /^([\w.-]+)/ ? ($1 => 1) : () } split /, /, $field{Depends};
ok($needs{$_}, "it needs $_") for qw(nginx postgresql-15 memcached libpq5 libjansson4 libsodium23 libmemcached11);
my ($abi) = qx(dpkg-query -W -f '\${Provides}' nginx) =~ /(nginx-abi[^, ]*)/;
ok($needs{$abi}, "and the nginx that its module is for, $abi");
unlike($field{Depends}, qr/-dev\b/, 'nothing that only builds need');

my %file;
for (qx(dpkg-deb --contents '$deb')) {
    my ($mode, $owner, $path) = (split ' ', $_, 6)[0, 1, 5];
    chomp $path;
    $file{ $path =~ s{^\.}{}r } = { mode => $mode, owner => $owner };
}
is_deeply([ grep { $file{$_}{owner} ne 'root/root' } sort keys %file ], [], 'everything is root\'s');
is_deeply([ grep { $file{$_}{mode} =~ /^-.{4}w|^-.{7}w|s|t/ } sort keys %file ], [], 'nobody else may write to a file');
is_deeply([ grep { m{/etc/|/home|/usr/local|/var/} } sort keys %file ], [], 'it has files where packages have them');

my $dir = tempdir('punit-deb-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
is(system('dpkg-deb', '-x', $deb, "$dir/root"), 0, 'it unpacks');
is(system('dpkg-deb', '-e', $deb, "$dir/control"), 0, 'so do its scripts');
is(system("sh -n '$dir/control/$_'"), 0, "$_ is a script") for qw(postinst prerm postrm);

my (@missing, $n);
for my $unit (glob "$dir/root/lib/systemd/system/punit*") {
    open my $f, '<', $unit or die "$unit: $!";
    for (grep { /^Exec/ } <$f>) {
        for my $program (m{(/usr/bin/punit-[\w%]+)}g) {
            $n++;
            push @missing, map { my $p = $program =~ s/%i/$_/r; $file{$p} ? () : $p } qw(auth profile training metrics sports social gridd mover);
        }
    }
}
ok($n, 'the units of systemd start programs');
is_deeply(\@missing, [], 'which are all there');
if (grep { -x "$_/systemd-analyze" } split /:/, $ENV{PATH}) {
    my $verified = qx(systemd-analyze verify --root='$dir/root' --man=no punit.target 2>&1);
    unlike($verified, qr/Unknown|Failed to parse|Invalid/, 'systemd can read them') or diag $verified;
}

my $ctl = "$dir/root/usr/bin/punitctl";
like(qx('$ctl' --help), qr/unit init/, 'punitctl runs');
SKIP: {
    skip 'no user punit', 2 if $> == 0 && !getpwnam 'punit';
    chown((getpwnam 'punit')[2, 3], $dir) if $> == 0;
    local @ENV{qw(PUNIT_SHARE PUNIT_MODULE)};
    delete @ENV{qw(PUNIT_SHARE PUNIT_MODULE)};
    my $made = qx('$ctl' unit init eu --dir '$dir/eu' --http 127.0.0.1:29811 --peer 127.0.0.1:29812 --pg 127.0.0.1:29813 --ca '$dir/ca' --pepper '$dir/pepper' 2>&1);
    is($?, 0, 'a unit is made with what is in the package') or diag $made;
    like(scalar qx(grep -rh load_module '$dir/eu/nginx'), qr{load_module\s+"?\Q$dir\E/root/usr/lib/punit/ngx_http_punit_module\.so}, 'with its module');
}

done_testing;
