#!/usr/bin/perl
# demo/units and the supervisor: twice in a row, after crashes, one unit more.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Punit::Services qw(services);
use Punit::Tries;
use Punit::Units;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us']);
my $dir = $units->dir;

my @services = services();
my @processes = (qw(postgres grid tokens), @services, qw(gridd mover nginx));
my ($status, $output) = $units->punitctl('eu', 'status', '--json');
is($status, 0, 'status says that all of a unit runs') or diag($output);
my $state = decode_json($output);
is_deeply(
    [map {"$_->{name} $_->{state}"} @{ $state->{processes} }], [map {"$_ up"} @processes],
    'each process of it is named'
);
is_deeply([map {"$_->{grid} $_->{state}"} @{ $state->{grid} }], ['documents up', 'tokens up'],
    'and each grid server');

# ---- a process that dies
for my $process (@processes) {
    my $restart = sub {
        my $old = $units->pid('us', $process);
        kill KILL => $old or diag("kill $process: $!");
        my $new;
        wait_until(
            sub { $new = $units->pid('us', $process); $new && $new != $old && kill 0 => $new }, 10);
    };
    ok(once_within(2, sub { took($restart) }),
        "$process, killed, is started again in under 2 s");
}
ok(wait_until(sub { $units->healthy('us') }, 20), 'and the unit is healthy again by itself');
ok(wait_until(sub { ($units->punitctl('us', 'status'))[0] == 0 }, 20), 'its mesh too')
    or diag(($units->punitctl('us', 'status'))[1]);

# ---- up again
my %pid = map {
    my $u = $_; map { ("$u $_" => $units->pid($u, $_)) } @processes
} 'eu', 'us';
$units->up;
is_deeply(
    {
        map {
            my $u = $_; map { ("$u $_" => $units->pid($u, $_)) } @processes
        } 'eu',
        'us'
    },
    \%pid,
    '`up` while they run leaves every process alone'
);

sub supervisor { open my $f, '<', "$dir/runsvdir.pid" or return 0; return int(<$f> // 0) }

kill KILL => supervisor();
$units->up;
is($units->admin('eu', '/auth/health')->{status}, 200,
    '`up` after the supervisor was killed brings all back');

# everything of this directory, at once
my @everything = grep { (readlink("$_/cwd") // '') =~ m{^\Q$dir\E/} } glob '/proc/[0-9]*';
cmp_ok(scalar(@everything), '>', 20, 'all processes of the units are found');
kill KILL => supervisor(), map {m{(\d+)$}} @everything;
$units->up;
is($units->admin('us', '/auth/health')->{status}, 200,
    '`up` after kill -9 of everything brings all back');
is(
    $units->dbh('us')->selectrow_array('select count(*) from training.exercise'),
    $units->dbh('eu')->selectrow_array('select count(*) from training.exercise'), 'with all rows'
);

# ---- a unit more
$units->{units} = ['eu', 'us', 'ap'];
$units->up;
is($units->admin('ap', '/training/health')->{status}, 200,
    'a unit is added to those that run');
is(
    $units->dbh('ap')->selectrow_array('select count(*) from training.exercise'),
    $units->dbh('eu')->selectrow_array('select count(*) from training.exercise'),
    'and has their catalogue'
);
is($units->dbh('eu')->selectrow_array('select count(*) from punit.peer'), 2, 'they know of it');

# ---- down
delete $units->{dbh};
$units->stop;
is(scalar(grep { (readlink("$_/cwd") // '') =~ m{^\Q$dir\E/} } glob '/proc/[0-9]*'), 0,
    'after `down` nothing of them runs');
$units->stop;
pass('`down` twice is no error');

done_testing();
