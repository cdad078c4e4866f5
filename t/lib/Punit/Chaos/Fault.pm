package Punit::Chaos::Fault;

# What may go wrong, by name. A fault breaks something, waits as long as it is to last, and mends
# it; what it did it adds to $told:
#   windows   [unit, from, until]: when a unit ('': any) was broken, so that 503 is right
#   steps     what was done, for whoever reads of a failure
#   missed    what it did not come to
# or it dies with "skip: why".

use strict;
use warnings;
use Punit::Chaos::Point;
use Time::HiRes qw(sleep time);

my @services = qw(mover social auth nginx postgres grid gridd);
my %relay = (
    'delay of 40 ms' => ['. delay=40 jitter=10'],
    'delay of 300 ms' => ['. delay=300 jitter=200'],
    'messages lost' => ['/pg cut=0.03', '/peer cut=0.02'],
    'answers lost' => ['/pg cutback=0.05', '/peer cutback=0.02'],
    'messages late and reordered' => ['/pg late=1500', '. delay=1'],
);

# All of them, those that are run by themselves and those that are part of another: two hashes name
# => sub ($ground, $pick, $told), where $pick->(@list) draws one and $told->{users} are the users'
# ids. For the names alone the class Punit::Chaos::Ground will do.
sub tables {
    my ($ground) = @_;
    my ($fault, $single) = Punit::Chaos::Point::tables($ground);
    my %fault = %$fault;
    for my $process (@services) {
        $fault{"kill -9 of $process"} = sub { _struck(@_, 'KILL', $process) };
    }
    for my $process (qw(mover social nginx postgres)) {
        $fault{"SIGSTOP of $process for 5 s"} = sub { _stopped(@_, $process) };
    }
    $fault{'kill -9 of a whole unit'} = sub { _struck(@_, 'KILL') };
    $fault{'PostgreSQL restarted'} = sub { _struck(@_, 'INT', 'postgres') };
    $fault{'memcached flushed'} = sub {
        my ($ground) = @_;
        $ground->flush_grid($_) for $ground->names;
        sleep 1;
    };
    for my $name (keys %relay) {
        $fault{$name} = sub { _relayed(@_, $name) };
    }
    for my $how (qw(black refuse)) {
        $fault{"a unit cut off ($how)"} = sub { _cut_off(@_, $how) };
    }
    $fault{'messages doubled'} = \&_doubled;
    $fault{'disk full'} = \&_disk_full;
    $fault{'nothing'} = sub { sleep 4 };
    return (\%fault, $single);
}

sub _struck {
    my ($ground, $pick, $told, $signal, @processes) = @_;
    my $unit = $pick->($ground->names);
    my $began = time;
    $ground->recover($unit, $ground->strike($signal, $unit, @processes));
    push @{ $told->{windows} }, [$unit, $began, time];
    return;
}

sub _stopped {
    my ($ground, $pick, $told, $process) = @_;
    my $unit = $pick->($ground->names);
    my $began = time;
    my $pids = $ground->strike('STOP', $unit, $process);
    sleep 5;
    kill CONT => map {@$_} values %$pids;
    push @{ $told->{windows} }, [$unit, $began, time];
    return;
}

sub _relayed {
    my ($ground, $pick, $told, $name) = @_;
    my $began = time;
    $ground->rules(@{ $relay{$name} });
    sleep($name =~ /late/ ? 2 : 4);
    if ($name =~ /late/) {
        # those that stand by now are late too
        $ground->rules(@{ $relay{$name} }, '# again');
        sleep 2;
    }
    $ground->rules;
    push @{ $told->{windows} }, ['', $began, time] if $name ne 'delay of 40 ms';
    return;
}

sub _cut_off {
    my ($ground, $pick, $told, $how) = @_;
    my $unit = $pick->($ground->names);
    my $began = time;
    $ground->rules("^$unit> $how", ">$unit/ $how");
    sleep 4;
    push @{ $told->{windows} }, [$unit, $began, time];
    if ($how eq 'black') {
        # connections that hung through a partition end when it does
        my $end = time;
        $ground->rules('. refuse');
        push @{ $told->{windows} }, ['', $end, time];
    }
    $ground->rules;
    return;
}

# Every message of moves that ended is said once more, long after: nothing may change by it.
sub _doubled {
    my ($ground) = @_;
    my $end = time + 4;
    my $said = 0;
    while (time < $end) {
        for my $to ($ground->names) {
            my $moves = $ground->dbh($to)->selectall_arrayref(
                q{
                select m.user_id, m.from_unit, m.epoch, m.base_ver, o.fork, u.incarnation as here,
                    v.incarnation as there
                  from punit.move m join punit.own o using (user_id), punit.me u, punit.unit v
                 where m.result = 'moved' and v.id = m.from_unit and v.origin_unit = v.id
                 order by m.finished_at desc limit 40}, { Slice => {} });
            for my $m (@$moves) {
                _say(
                    $ground->dbh($m->{from_unit}), $to,
                    [
                        'select *
                            from punit.fence(?, ?, ?, ?, ?, ?, md5(punit.shape()), 1000, 0, false)',
                        @$m{qw(user_id epoch base_ver fork here there)}
                    ],
                    [
                        'select punit.retire(?, ?, ?, ?)', $m->{user_id}, $m->{epoch} + 1,
                        @$m{qw(here there)}]);
                _say(
                    $ground->dbh($to), $m->{from_unit},
                    [
                        'select punit.resolve(?, ?, ?, ?)', $m->{user_id}, $m->{epoch} + 1,
                        @$m{qw(there here)}]);
                $said += 3;
            }
        }
        sleep 0.2;
    }
    die "skip: no move to repeat\n" if !$said;
    return;
}

# Messages as a peer's session says them.
sub _say {
    my ($dbh, $as, @messages) = @_;
    $dbh->do("set session authorization punit_peer_$as");
    my $ok = eval { $dbh->selectall_arrayref($_->[0], undef, @$_[1 .. $#$_]) for @messages; 1 };
    my $why = $@;
    $dbh->do('reset session authorization');
    die $why if !$ok;
    return;
}

# The table of lists gets a disk of its own, which is then full.
sub _disk_full {
    my ($ground, $pick, $told) = @_;
    my $unit = $pick->($ground->names);
    my $place = $ground->dir . "/$unit/disk";
    die "skip: only root can mount a small disk\n" if $> != 0;
    mkdir $place;
    system('mount', '-t', 'tmpfs', '-o', 'size=16m,mode=0755', 'tmpfs', $place) == 0
        or die "skip: no mount\n";
    mkdir "$place/pg";
    chown +(stat $ground->dir . "/$unit")[4, 5], "$place/pg";
    my $dbh = $ground->dbh($unit);
    my @tables = qw(social.post punit.dedup);
    $dbh->do(sprintf 'create tablespace small location %s', $dbh->quote("$place/pg"));
    # few rows a page: the tables must soon grow
    $dbh->do("alter table $_ set (fillfactor = 10), set tablespace small") for @tables;
    my $began = time;
    open my $f, '>', "$place/filler" or die "$place: $!";
    $f->autoflush(1);
    1 while defined syswrite $f, 'x' x 65536;
    1 while defined syswrite $f, 'x' x 512;
    close $f;
    sleep 4;
    unlink "$place/filler";
    sleep 1;
    $dbh->do("alter table $_ reset (fillfactor), set tablespace pg_default") for @tables;
    $dbh->do('drop tablespace small');
    system('umount', $place) == 0 or system('umount', '-l', $place);
    push @{ $told->{windows} }, [$unit, $began, time];
    return;
}

1;
