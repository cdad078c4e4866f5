package Punit::Chaos::Ground;

# Units, of the failpoint build unless `failpoints` says 0, for t/chaos/run and for the bench: all that passes between them
# goes through t/chaos/relay, and every change of state in punit.own is written down by a trigger. And the ways to break
# them.

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Socket::UNIX;
use POSIX ();
use Punit::Units;
use Time::HiRes qw(sleep time);

my $source = abs_path(dirname(__FILE__) . '/../../../..');

# In the mesh's replication too, and where the mover's sessions silence triggers: ALWAYS.
my $own_log = q{
    set client_min_messages = warning;
    create schema if not exists chaos;
    create table if not exists chaos.own_log (seq bigint generated always as identity, at timestamptz not null
        default clock_timestamp(), user_id uuid not null, state text not null, epoch bigint not null, ver bigint not null);
    create or replace function chaos.note() returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as $$ begin
            insert into chaos.own_log (user_id, state, epoch, ver) values (new.user_id, new.state, new.epoch, new.ver);
            return null;
        end $$;
    create or replace trigger chaos_note after insert or update of state, epoch on punit.own
        for each row execute function chaos.note();
    alter table punit.own enable always trigger chaos_note;
};

sub new {
    my ($class, %o) = @_;
    local $ENV{FAILPOINTS} = $o{failpoints} // 1 ? 1 : '';
    my $units = Punit::Units->start(units => $o{units} // ['eu', 'us', 'ap'], env => {
        PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '50ms', PUNIT_MOVE_RESOLVE => '1s',
        PUNIT_MOVE_PEER_TIMEOUT => '3s', %{ $o{env} // {} } });
    my $self = bless { units => $units, names => $o{units} // ['eu', 'us', 'ap'], rules => [] }, $class;
    $units->dbh($_)->do($own_log) for $self->names;
    $self->_relay($o{seed} // 1);
    return $self;
}

sub names { return @{ $_[0]{names} } }
sub units { return $_[0]{units} }
sub dir   { return $_[0]{units}->dir }
sub dbh   { my ($self, $unit) = @_; return $self->{units}->dbh($unit) }
sub others { my ($self, $unit) = @_; return grep { $_ ne $unit } $self->names }

# Every pair of units gets ports of its own, and each unit is told that its peers are there.
sub _relay {
    my ($self, $seed) = @_;
    my $units = $self->{units};
    my $port  = $units->base + 210;
    my @places;
    $self->{control} = $units->dir . '/relay.rules';
    my %file;
    for my $from ($self->names) {
        my $text = sprintf "%s 127.0.0.1:%d 127.0.0.1:%d 127.0.0.1:%d\n", $from, map { $units->port($from, $_) } qw(http peer pg);
        for my $to ($self->others($from)) {
            push @places, map { "$from>$to/$_=" . ++$port . '=' . $units->port($to, $_) } qw(peer pg);
            $text .= sprintf "%s 127.0.0.1:%d 127.0.0.1:%d 127.0.0.1:%d\n", $to, $units->port($to, 'http'), $port - 1, $port;
        }
        $file{$from} = $text;
    }
    $self->{relay} = open($self->{relay_out}, '-|') // croak "fork: $!";
    if (!$self->{relay}) {
        $ENV{CHAOS_SEED} = $seed;
        exec "$source/t/chaos/relay", $self->{control}, @places or POSIX::_exit(127);
    }
    my $line = readline $self->{relay_out};
    croak 'the relay does not start' if ($line // '') ne "ready\n";
    for my $from ($self->names) {
        my $path = $units->dir . "/$from.through-relay";
        open my $f, '>', $path or croak "$path: $!";
        # the arbiters of names are assigned in the order of this file: the same everywhere
        print $f join '', sort { $a cmp $b } map { "$_\n" } split /\n/, $file{$from};
        close $f;
        chmod 0644, $path;
        for my $command (['unit', 'add', $path], ['mesh', 'join']) {
            my ($status, $out) = $units->punitctl($from, @$command);
            croak "punitctl @$command at $from: $out" if $status;
        }
    }
    return;
}

# The relay runs.
sub relayed { my ($self) = @_; return waitpid($self->{relay}, POSIX::WNOHANG) == 0 }

# Rules of the relay, as its lines; none: all passes.
sub rules {
    my ($self, @lines) = @_;
    open my $f, '>', "$self->{control}.new" or croak "$self->{control}: $!";
    print $f map { "$_\n" } @lines;
    close $f;
    rename "$self->{control}.new", $self->{control} or croak $!;
    sleep 0.05;
    return;
}

# ---- failpoints

sub failpoints {
    my ($self) = @_;
    my $program = $self->dir . '/app/bin/punit-mover';
    my @names = split ' ', qx($program --failpoints);
    croak "$program has no failpoints" if !@names;
    return sort @names;
}

# lines: 'NAME ACTION [MS]', each armed when the one before it was reached
sub arm {
    my ($self, $unit, @lines) = @_;
    my $path = $self->dir . "/$unit/failpoint";
    unlink "$path.hit";
    open my $f, '>', "$path.tmp" or croak "$path: $!";
    print $f map { "$_\n" } @lines;
    close $f;
    chown +(stat $self->dir . "/$unit")[4, 5], "$path.tmp";
    rename "$path.tmp", $path or croak $!;
    return;
}

# The last line armed was reached.
sub hit {
    my ($self, $unit) = @_;
    my $path = $self->dir . "/$unit/failpoint";
    return -e "$path.hit" && !-e $path;
}

sub disarm {
    my ($self, @units) = @_;
    for my $unit (@units ? @units : $self->names) {
        unlink map { $self->dir . "/$unit/failpoint$_" } '', '.hit';
    }
    return;
}

# ---- processes

# Every process of a unit, or of one of its services: what runs below its directory under that name.
sub pids {
    my ($self, $unit, $process) = @_;
    my $pid = $self->{units}->pid($unit, $process);
    my @pids = $pid ? ($pid) : ();
    if ($process eq 'nginx' || $process eq 'postgres') {
        for my $stat (glob '/proc/[0-9]*/stat') {
            open my $f, '<', $stat or next;
            my $line = <$f> // next;
            push @pids, $1 if $line =~ /^(\d+) \(.*\) [^Z] (\d+) / && $pid && $2 == $pid;
        }
    }
    return @pids;
}

sub processes {
    my ($self, $unit) = @_;
    return map { m{/([^/]+)$} } glob $self->dir . "/$unit/sv/*";
}

sub strike {
    my ($self, $signal, $unit, @processes) = @_;
    @processes = $self->processes($unit) if !@processes;
    my @pids = map { $self->pids($unit, $_) } @processes;
    # of PostgreSQL the postmaster alone: its children are ended by the next one, as after a real crash
    kill $signal, @pids;
    return @pids;
}

sub flush_grid {
    my ($self, $unit) = @_;
    for my $name (qw(grid tokens)) {
        my $s = IO::Socket::UNIX->new(Peer => $self->dir . "/$unit/sock/$name.sock") or next;
        print $s "flush_all\r\n";
        $s->flush;
        readline $s;
    }
    return;
}

# All services of all units answer.
sub healthy {
    my ($self) = @_;
    for my $unit ($self->names) {
        for my $service (qw(auth profile training metrics sports social)) {
            return 0 if $self->{units}->http($unit, GET => "/$service/health")->{status} != 200;
        }
        return 0 if !$self->{units}->pid($unit, 'mover') || !eval { $self->dbh($unit)->ping };
    }
    return 1;
}

# ---- what the databases say

# Moves and users of whom nobody may say that they are settled: text lines, none when all is calm.
sub unsettled {
    my ($self, @users) = @_;
    my @found;
    for my $unit ($self->names) {
        my $rows = eval {
            $self->dbh($unit)->selectall_arrayref(q{
                select 'move of ' || user_id || ' from ' || from_unit || ' in phase ' || phase || coalesce(': ' || error, '')
                  from punit.move where finished_at is null and phase <> 'copy' and user_id = any (?)
                union all
                select user_id || ' FENCED to ' || fence_to || ' at epoch ' || fence_epoch from punit.own
                 where state = 'FENCED' and user_id = any (?)}, undef, \@users, \@users)
        };
        push @found, "$unit does not answer" if !$rows;
        push @found, map { "$unit: $_->[0]" } @{ $rows // [] };
    }
    return @found;
}

# The owner of each user: {user => [units]}
sub owners {
    my ($self, @users) = @_;
    my %owner = map { ($_ => []) } @users;
    for my $unit ($self->names) {
        push @{ $owner{$_} }, $unit for @{ $self->dbh($unit)->selectcol_arrayref(
            q{select user_id from punit.own where state = 'OWNED' and user_id = any (?)}, undef, \@users) };
    }
    return \%owner;
}

# [[text, ver]...] of a user's list at a unit, up to a ver.
sub list {
    my ($self, $unit, $user) = @_;
    return $self->dbh($unit)->selectall_arrayref('select text, ver from social.post where user_id = ? order by ver', undef, $user);
}

# [ver, fork] of a user's row at a unit
sub version {
    my ($self, $unit, $user) = @_;
    return $self->dbh($unit)->selectrow_array('select ver, fork from punit.own where user_id = ?', undef, $user);
}

sub own_log {
    my ($self, @users) = @_;
    my @log;
    for my $unit ($self->names) {
        push @log, map { [$unit, @$_] } @{ $self->dbh($unit)->selectall_arrayref(
            'select extract(epoch from at), user_id, state, epoch, ver from chaos.own_log where user_id = any (?) order by seq',
            undef, \@users) };
    }
    return \@log;
}

# Ended hand-overs of users, and how long each pause was: [ms...]
sub pauses {
    my ($self, @users) = @_;
    return map { @{ $self->dbh($_)->selectcol_arrayref(q{
        select extract(epoch from activated_at - fenced_at) * 1000 from punit.move
         where result = 'moved' and fenced_at is not null and user_id = any (?)}, undef, \@users) } } $self->names;
}

sub stop {
    my ($self) = @_;
    if (my $pid = delete $self->{relay}) {
        kill TERM => $pid;
        close $self->{relay_out};
    }
    return;
}

sub DESTROY { local ($@, $?); $_[0]->stop }

1;
