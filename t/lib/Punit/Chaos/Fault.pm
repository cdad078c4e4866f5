package Punit::Chaos::Fault;

# What may go wrong, by name. A fault breaks something, waits as long as it is to last, and mends it; it gives a list
# of [unit, from, until] in which 503 is no wrong answer (unit: whose front may not answer at all, '' any), or dies with
# "skip: why".

use strict;
use warnings;
use Time::HiRes qw(sleep time);

# what peers wait at most before they try a unit again that was away as long as here
use constant GRACE => 12;

my @services = qw(mover social auth nginx postgres grid gridd);

# name => sub ($ground, $pick), where $pick->(@list) draws one
sub table {
    my ($ground) = @_;
    my %fault;
    for my $name ($ground->failpoints) {
        $fault{"kill at $name"} = _at($name, 'kill');
        $fault{"drop at $name"} = _at($name, 'drop');
        $fault{"deaf at $name"} = _at($name, 'deaf');
        next if $name !~ /^(?:pull[.]sent|fence[.](?:sent|answered|read)|activate[.]commit(?:ted)?|retire[.]send)$/;
        $fault{"owner's PostgreSQL killed at $name"} = _held($name, 'owner', 'postgres');
        $fault{"new owner's PostgreSQL killed at $name"} = _held($name, 'new', 'postgres');
        $fault{"owner killed whole at $name"} = _held($name, 'owner');
        $fault{"long silence at $name"} = _at($name, 'sleep', 4000);
    }
    for my $process (@services) {
        $fault{"kill -9 of $process"} = sub { _struck($_[0], $_[1], 'KILL', $process) };
    }
    for my $process (qw(mover social nginx postgres)) {
        $fault{"SIGSTOP of $process for 5 s"} = sub { _stopped($_[0], $_[1], $process) };
    }
    $fault{'kill -9 of a whole unit'} = sub { _struck($_[0], $_[1], 'KILL') };
    $fault{'PostgreSQL restarted'}    = sub { _struck($_[0], $_[1], 'INT', 'postgres') };
    $fault{'memcached flushed'} = sub {
        my ($ground, $pick) = @_;
        $ground->flush_grid($_) for $ground->names;
        sleep 1;
        return;
    };
    my %relay = (
        'delay of 40 ms'              => ['. delay=40 jitter=10'],
        'delay of 300 ms'             => ['. delay=300 jitter=200'],
        'messages lost'               => ['/pg cut=0.03', '/peer cut=0.02'],
        'answers lost'                => ['/pg cutback=0.05', '/peer cutback=0.02'],
        'messages late and reordered' => ['/pg late=1500', '. delay=1'],
    );
    for my $name (keys %relay) {
        my $quiet = $name eq 'delay of 40 ms';
        $fault{$name} = sub {
            my ($ground) = @_;
            my $began = time;
            $ground->rules(@{ $relay{$name} });
            sleep($name =~ /late/ ? 2 : 4);
            $ground->rules(@{ $relay{$name} }, '# again') if $name =~ /late/;
            sleep 2 if $name =~ /late/;
            $ground->rules;
            return $quiet ? () : (['', $began, time + GRACE]);
        };
    }
    for my $how (qw(black refuse)) {
        $fault{"a unit cut off ($how)"} = sub {
            my ($ground, $pick) = @_;
            my $unit  = $pick->($ground->names);
            my $began = time;
            $ground->rules("^$unit> $how", ">$unit/ $how");
            sleep 4;
            # connections that hung through a partition end when it does
            $ground->rules('. refuse') if $how eq 'black';
            $ground->rules;
            return ['', $began, time + GRACE];
        };
    }
    $fault{'messages doubled'} = \&_doubled;
    $fault{'disk full'}        = \&_disk_full;
    $fault{'nothing'}          = sub { sleep 4; return };
    return \%fault;
}

# What leads to a failpoint that a healthy run does not pass.
sub _way {
    my ($name) = @_;
    return ('fence.read spoil') if $name =~ /^refuse/;
    return;
}

sub _wait_hit {
    my ($ground, $seconds, @units) = @_;
    my $end = time + $seconds;
    while (time < $end) {
        for my $unit (@units) {
            return $unit if $ground->hit($unit);
        }
        sleep 0.01;
    }
    return;
}

# The mover fails at a failpoint.
sub _at {
    my ($name, $action, $ms) = @_;
    return sub {
        my ($ground, $pick) = @_;
        my $began = time;
        my $line  = join ' ', $name, $action, $ms // ();
        my @at    = $ground->names;
        if ($name =~ /^resolve/) {
            # a new owner who says nothing after FENCE makes the old one ask, if FENCE was not answered BUSY
            my $reached;
            for (1 .. 4) {
                my $new = $pick->($ground->names);
                @at = $ground->others($new);
                $ground->arm($new, 'fence.answered hold');
                $ground->arm($_, $line) for @at;
                $reached = _wait_hit($ground, 6, $new) && _wait_hit($ground, 3, @at);
                $ground->disarm;
                last if $reached;
            }
            die "skip: not reached\n" if !$reached;
        }
        else {
            $ground->arm($_, _way($name), $line) for @at;
            my $reached = _wait_hit($ground, 6, @at);
            sleep $ms / 1000 if $reached && $ms;
            $ground->disarm;
            die "skip: not reached\n" if !$reached;
        }
        sleep 0.5;
        return ['', $began, time + GRACE];
    };
}

# The mover waits at a failpoint while something else is killed.
sub _held {
    my ($name, $whose, @processes) = @_;
    return sub {
        my ($ground, $pick) = @_;
        my $began = time;
        my $new = $pick->($ground->names);
        $ground->arm($new, "$name hold");
        if (!_wait_hit($ground, 6, $new)) {
            $ground->disarm;
            die "skip: not reached\n";
        }
        my @units = $whose eq 'new' ? ($new) : $ground->others($new);
        if ($whose eq 'owner') {
            # whoever is fenced towards it, or is asked; when in doubt, one of them
            my @fenced = grep { eval { $ground->dbh($_)->selectrow_array(
                q{select count(*) from punit.own where state = 'FENCED' and fence_to = ?}, undef, $new) } } @units;
            @units = $pick->(@fenced ? @fenced : @units);
        }
        $ground->strike('KILL', $units[0], @processes);
        $ground->disarm;
        sleep 1.5;
        return (['', $began, time + GRACE]);
    };
}

sub _struck {
    my ($ground, $pick, $signal, @processes) = @_;
    my $unit  = $pick->($ground->names);
    my $began = time;
    $ground->strike($signal, $unit, @processes);
    sleep 1.5;
    my $end = time + 20;
    sleep 0.1 until $ground->healthy || time > $end;
    return (['', $began, time + GRACE]);
}

sub _stopped {
    my ($ground, $pick, $process) = @_;
    my $unit  = $pick->($ground->names);
    my $began = time;
    my @pids  = $ground->strike('STOP', $unit, $process);
    sleep 5;
    kill CONT => @pids;
    return (['', $began, time + GRACE]);
}

# Every message of moves that ended is said once more, long after: nothing may change by it.
sub _doubled {
    my ($ground) = @_;
    my $end = time + 4;
    my $said = 0;
    while (time < $end) {
        for my $to ($ground->names) {
            my $moves = $ground->dbh($to)->selectall_arrayref(q{
                select m.user_id, m.from_unit, m.epoch, m.base_ver, o.fork, u.incarnation as here, v.incarnation as there
                  from punit.move m join punit.own o using (user_id), punit.me u, punit.unit v
                 where m.result = 'moved' and v.id = m.from_unit and v.origin_unit = v.id
                 order by m.finished_at desc limit 40}, { Slice => {} });
            for my $m (@$moves) {
                _say($ground->dbh($m->{from_unit}), $to,
                    ['select * from punit.fence(?, ?, ?, ?, ?, ?, md5(punit.shape()), 1000, 0, false)',
                        @$m{qw(user_id epoch base_ver fork here there)}],
                    ['select punit.retire(?, ?, ?, ?)', $m->{user_id}, $m->{epoch} + 1, @$m{qw(here there)}]);
                _say($ground->dbh($to), $m->{from_unit},
                    ['select punit.resolve(?, ?, ?, ?)', $m->{user_id}, $m->{epoch} + 1, @$m{qw(there here)}]);
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
    my ($ground, $pick) = @_;
    my $unit  = $pick->($ground->names);
    my $place = $ground->dir . "/$unit/disk";
    die "skip: only root can mount a small disk\n" if $> != 0;
    mkdir $place;
    system('mount', '-t', 'tmpfs', '-o', 'size=16m,mode=0755', 'tmpfs', $place) == 0 or die "skip: no mount\n";
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
    return (['', $began, time + GRACE]);
}

1;
