#!/usr/bin/perl
# README.md: each of its command lines is run, or left out for a reason that is told here, and the
# crossing that it shows is the one that `make run` prints.
#
# The commands run in a copy of the tree, in a directory that only root can enter, and in a network
# namespace of their own, since the ports of `make run` are fixed.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

use Punit::Command qw(begin capture);
use Punit::File qw(slurp);
use Punit::Server qw(directory);
use Punit::Tree qw(root);
use Punit::Wait qw(patience wait_until);

use constant QUICK => 10;    # seconds of a second `make run`

# The lines that no test runs as they stand.
my %left_out = (
    'make test' => 'it runs this test',
    q{make SAN=1 test TESTS='t/module'} => 'it takes as long as all tests of the module',
    'make static NGINX_SOURCE=DIR' => 'the source of nginx is not on every machine',
    'make SAN=1 static NGINX_SOURCE=DIR' => 'the same',
    'PUNIT_NGINX=build/san/static/nginx PUNIT_MODULE= prove -It/lib t/module' => 'the same',
    'make fuzz' => 'it takes as long as it is told to',
    'make lint' => 'it is a part of CI, and t/system/lint.t breaks it',
    'make format' => 'it changes the tree; the lint of CI says that it has nothing to do',
);

if ($> != 0 || system('unshare --net true 2>/dev/null') != 0) {
    plan skip_all => 'only root can make a network namespace' if !$ENV{CI};
    BAIL_OUT('CI runs as root and can make network namespaces');
}
if (!$ENV{PUNIT_README_NETWORK}) {
    local $ENV{PUNIT_README_NETWORK} = 1;
    exec 'unshare', '--net', $^X, map({"-I$_"} @INC), $0 or die "unshare: $!";
}
system('ip link set lo up') == 0 or die 'ip: no loopback';

my $readme = slurp(root() . '/README.md');

# ---- the copy

my $closed = directory('readme');
my $place = "$closed/punit";
chown 0, 0, $closed and chmod 0700, $closed or die "$closed: $!";
mkdir $place or die "$place: $!";
my $built = join ' ', map { "--exclude=./build/$_" } qw(deb debian* machine* t lint bench fuzz san);
my $copy = "cd '@{[ root() ]}' && tar -c --exclude=./run --exclude=./.git $built .";
is(system("$copy | tar -x -C '$place'"), 0, 'a copy of the tree');

# Runs a line in the copy: (exit code, output).
sub line { my ($line) = @_; return capture('bash', '-c', "cd '$place' && $line") }

END {
    line('make -s stop') if $place && -d "$place/run";
    my $link = $place && readlink "$place/run";
    system 'rm', '-rf', $link if $link && $link =~ m{^/var/tmp/punit-\w+$};
}

# ---- what the document shows

my ($first) = $readme =~ /^## Two commands\n(.*?)^\#\# /ms or die 'README.md: no "Two commands"';
my %shown = map { $_ => 1 }
    $first =~ /^ {4}(\S.*?)(?: {2,}\#.*)?$/mg,
    $first =~ /`(make [^`]+|PUNIT_\w+=[^`]+)`/g;
my %run = map { $_ => 1 } 'make run', 'make stop', 'make help',
    'run/app/bin/punitctl status --dir run/eu', 'make deps';
is_deeply(
    [grep { !$run{$_} && !$left_out{$_} } sort keys %shown], [],
    'each command line of README is run here, or is left out for a reason'
);
is_deeply([grep { !$shown{$_} } sort keys %run, keys %left_out], [], 'and no other');

# One step of a crossing repeats until the user has moved, and its times vary.
sub crossing {
    my ($text) = @_;
    my @lines;
    for (split /\n/, $text) {
        s/\s+\d+\.\d(?=  \S)/ MS/;
        s{(exercises/)[0-9a-f]{8}-~}{$1ID~};
        s/after \d+\.\d s/after SECONDS/;
        s/^\d+ requests/REQUESTS/;
        push @lines, $_ if !@lines || $lines[-1] ne $_;
    }
    return join "\n", @lines;
}

my ($printed) = $readme =~ /^## A border crossing.*?^```\n(.*?)^```$/ms
    or die 'README.md: no crossing';

# ---- the commands

is((line('make deps'))[0], 0, 'make deps');
my ($status, $output) = line('make run');
is($status, 0, 'make run, in a directory that is closed to others') or diag $output;
my ($got) = $output =~ /^(request  .*?as designed\n)/ms;
is(crossing($got // $output), crossing($printed), 'it prints the crossing of README');
unlike($output, qr/^(?:cc|gcc) |-Wall/m, 'and no line of the compiler');
like($output, qr/^ *\d+\.\d s  joining/m, 'but its steps');

sub servers { return join ' ', map { slurp($_) } sort glob "$place/run/*/sv/*/supervise/pid" }

my $pids = servers();
my $began = time;
($status, $output) = line('make run');
my $took = time - $began;
is($status, 0, 'make run a second time') or diag $output;
is(servers(), $pids, 'leaves the servers alone');
cmp_ok($took, '<', patience(QUICK), 'and is quick');
note sprintf 'the second make run took %.1f s', $took;

my @try = $output =~ /^  (curl .*|TOKEN=.*)$/mg;
is(scalar @try, 3, 'it ends with three lines to try');
($status, $output) = line($try[0]);
like($output, qr/"access_token"/, 'the first one registers a user');
($status, $output) = line("$try[1]; $try[2]");
like($output, qr{^HTTP/1\.1 200 }m, 'the others log in and ask another unit') or diag $output;
like($output, qr/^Punit-Route: forward\r?$/mi, 'which forwards the request');

($status, $output) = line('run/app/bin/punitctl status --dir run/eu');
is($status, 0, 'punitctl status of a unit of make run') or diag $output;
($status, $output) = line('make help');
like($output, qr/^run +\S/m, 'make help lists make run');
is((line('make stop'))[0], 0, 'make stop');
# Of this network namespace: another run of the tests may have units of its own.
my $here = readlink '/proc/self/ns/net';
is(
    scalar(
        grep {
            (readlink("$_/ns/net") // '') eq $here
                && (readlink("$_/cwd") // '') =~ m{/punit-\w+/eu/}
        } glob '/proc/[0-9]*'
    ),
    0,
    'ends all of it'
);

done_testing;
