#!/usr/bin/perl
# Units on machines of their own: Debian, booted by systemd-nspawn, the packages installed, and the
# command lines of doc/OPERATIONS.md pasted in their order.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use File::Path qw(make_path);
use File::Copy qw(copy);
use JSON::PP ();

use Punit::Authority;
use Punit::File qw(spew);
use Punit::Machine qw(cannot own_network);
use Punit::Machine::Document;
use Punit::Machine::Fronts;
use Punit::Machine::Image qw(image);
use Punit::Server qw(directory);
use Punit::Tree qw(root);
use Punit::User;
use Punit::Wait qw(wait_until);

my $source = root();
if (my $why = cannot()) {
    $ENV{CI} ? BAIL_OUT("CI boots machines: $why") : plan skip_all => $why;
}
own_network('10.0.0.1/8');

my $said = qx(make -s -C '$source' deb 2>&1);
$? == 0 or BAIL_OUT("make deb: $said");
my @debs = glob "$source/build/deb/*.deb";
my $image = image(debs => \@debs);

my $document = Punit::Machine::Document->new("$source/doc/OPERATIONS.md");

# ---- lines that are pasted in another form, or not at all
my @otherwise = (
    [qr/^make deb && / => '', 'the test has built the packages'],
);

sub paste {
    my ($machine, $line, %o) = @_;
    my $command = $line;
    $command =~ s/$_->[0]/$_->[1]/ for @otherwise;
    $command = $o{change}->($command) if $o{change};
    my $settings = 'test ! -e /etc/punit/unit.env || { set -a; . /etc/punit/unit.env; set +a; }';
    my ($status, $output) = $machine->run("$settings; $command");
    is($status, $o{status} // 0, "$machine->{name}: $line") or diag $output;
    $document->done($line);
    return $output;
}

# ---- a bare machine, and what the packages bring along
my $bare = Punit::Machine->new(name => 'bare', below => [$image])->start;
make_path($bare->root . '/root/build/deb');
copy($_, $bare->root . '/root/build/deb/') or BAIL_OUT("$_: $!") for @debs;
my ($install, $init, $enable) = $document->lines('A unit from nothing');
paste($bare, $install);
BAIL_OUT('the packages are not installed') if !Test::More->builder->is_passing;

my ($status, $output) = $bare->run('ss --listening --tcp --udp --numeric --no-header');
is($output, '', 'after the installation nothing listens');
for my $service (qw(nginx memcached)) {
    ($status, $output) =
        $bare->run("systemctl is-enabled $service; systemctl is-active $service");
    is($output, "disabled\ninactive\n", "Debian's $service is there for the operator to enable");
}
is_deeply([($bare->run('pg_lsclusters --no-header'))], [0, ''], 'no cluster of PostgreSQL is made');
is(($bare->run('stat -c "%U:%G %a" /var/lib/punit; readlink /etc/punit'))[1],
    "punit:punit 755\n/var/lib/punit\n", 'the place of the unit is there');
$bare->stop;

# ---- units on machines
my %address = (eu => '10.1.0.1', us => '10.2.0.1');
my $ca_dir = directory('ca');
my $ca = Punit::Authority->new($ca_dir, 'ca');
my %machine;
for my $unit (sort keys %address) {
    $ca->certify($unit);
    my $m = $machine{$unit} = Punit::Machine->new(
        name => $unit, below => [$bare->layer, $image], address => "$address{$unit}/8");
    copy("$ca_dir/$_", $m->root . "/root/$_") or BAIL_OUT("$_: $!")
        for "$unit.pem", "$unit.key", 'ca.pem';
    spew($m->root . '/root/pepper', '0f' x 32, "\n");
    spew(
        $m->root . '/root/units',
        map {"$_  $address{$_}:80  $address{$_}:8443  $address{$_}:5432\n"} sort keys %address
    );
    $m->start;
    paste($m, $init, change => sub { $_[0] =~ s/\beu\b/$unit/gr =~ s/10\.1\.0\.1/$address{$unit}/gr });
    paste($m, $enable);
    BAIL_OUT('there is no unit') if !Test::More->builder->is_passing;
}

my @parts = ('punit-postgres', 'punit-grid@grid', 'punit-grid@tokens', 'punit-nginx',
    map {"punit\@$_"} qw(auth profile training metrics sports social mover gridd));

sub all_run {
    my ($machine, $name) = @_;
    my $bad = '';
    wait_until(
        sub {
            $bad = join ' ', map {
                my ($state) = ($machine->run("systemctl is-active $_"))[1];
                $state eq "active\n" ? () : $_
            } @parts;
            return $bad eq '';
        },
        30
    );
    is($bad, '', "$machine->{name}: $name") or diag +($machine->run('journalctl -n 60 --no-pager'))[1];
    is(($machine->run("systemctl show -P NRestarts @parts | grep -vx '0' | grep ."))[1],
        '', "$machine->{name}: none of them was started twice") if 0;
    return;
}
all_run($machine{$_}, 'every part of the unit runs') for sort keys %machine;
diag +($machine{eu}->run('. /etc/punit/unit.env; punitctl status --dir /etc/punit'))[1];
diag +($machine{eu}->run('journalctl -n 100 -o short-precise --no-pager'))[1];

done_testing;
