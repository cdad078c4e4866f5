package Punit::Chaos::Ground;

# Units for t/chaos/run and for the bench, and the ways to break them. They are of the failpoint
# build unless `failpoints` is 0. All traffic between them goes through t/chaos/relay. A trigger
# logs each change of state in punit.own, and another one holds commits.

use strict;
use warnings;
use Carp qw(croak);
use JSON::PP ();
use Punit::File qw(slurp spew);
use Punit::Server;
use Punit::Tree qw(root);
use Punit::Units;
use Time::HiRes qw(sleep time);

# What a transaction does to punit.own, and when it may be held before its commit (arm_commit).
my @commits = qw(fence retire unfence activate copy refuse evict erase erased);
my $commit_lock = 20011;

# In the mesh's replication too, and where the mover's sessions silence triggers: ALWAYS.
my $own_log = q{
    set client_min_messages = warning;
    create schema if not exists chaos;
    create table if not exists chaos.own_log (seq bigint generated always as identity,
        at timestamptz not null
        default clock_timestamp(), user_id uuid not null, state text not null,
            epoch bigint not null, ver bigint not null,
        fence_to text, xid xid8 not null default pg_current_xact_id());
    create or replace function chaos.note() returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as $$ begin
            insert into chaos.own_log (user_id, state, epoch, ver, fence_to)
            values (new.user_id, new.state, new.epoch, new.ver, new.fence_to);
            return null;
        end $$;
    create or replace trigger chaos_note after insert or update of state, epoch on punit.own
        for each row execute function chaos.note();
    alter table punit.own enable always trigger chaos_note;
};

# Holds commits; it costs each of them its deferred trigger, so only where it is used.
my $commit_hold = q{
    create or replace function chaos.hold() returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as $$ declare
            o punit.own;
        begin
            if tg_op = 'UPDATE' then
                o := old;
            end if;
            perform pg_advisory_xact_lock_shared(COMMIT_LOCK, array_position(array[COMMITS], case
                when new.state = 'ERASED' then case when o.state = 'OWNED'
                    then 'erase' else 'erased' end
                when new.state = 'FENCED' then 'fence'
                when o.state = 'FENCED' and new.state = 'COPY' then 'retire'
                when o.state = 'FENCED' then 'unfence'
                when o.state = 'COPY' and new.state = 'OWNED' then 'activate'
                when new.refused_epoch > coalesce(o.refused_epoch, 0) then 'refuse'
                when new.ver = -1 then 'evict'
                else 'copy' end));
            return null;
        end $$;
    drop trigger if exists chaos_insert on punit.own;
    drop trigger if exists chaos_update on punit.own;
    create constraint trigger chaos_insert after insert on punit.own deferrable initially deferred
        for each row
        when (new.state = 'ERASED' or new.refused_epoch > 0) execute function chaos.hold();
    create constraint trigger chaos_update after update on punit.own deferrable initially deferred
        for each row
        when (new.state is distinct from old.state
            or new.refused_epoch is distinct from old.refused_epoch
            or (new.state = 'COPY' and new.ver is distinct from old.ver))
                execute function chaos.hold();
    alter table punit.own enable always trigger chaos_insert;
    alter table punit.own enable always trigger chaos_update;
};
$commit_hold =~ s/COMMIT_LOCK/$commit_lock/;
$commit_hold =~ s/COMMITS/join ', ', map { "'$_'" } @commits/e;

sub new {
    my ($class, %o) = @_;
    my $chaos = $o{failpoints} // 1;
    local $ENV{FAILPOINTS} = $chaos ? 1 : '';
    my $units = Punit::Units->start(
        units => $o{units} // ['eu', 'us', 'ap'],
        env => {
            PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '50ms', PUNIT_MOVE_RESOLVE => '1s',
            PUNIT_MOVE_PEER_TIMEOUT => '3s', $chaos ? (PUNIT_COPY_KEEP => '1s') : (),
            %{ $o{env} // {} } });
    my $self =
        bless { pid => $$, units => $units, names => $o{units} // ['eu', 'us', 'ap'], rules => [] },
        $class;
    $units->dbh($_)->do($own_log . ($chaos ? $commit_hold : '')) for $self->names;
    $self->_relay($o{seed} // 1);
    return $self;
}

sub names { return @{ $_[0]{names} } }
sub units { return $_[0]{units} }
sub dir { return $_[0]{units}->dir }
sub dbh { my ($self, $unit) = @_; return $self->{units}->dbh($unit) }
sub session { my ($self, $unit) = @_; return $self->{units}->connect($unit) }
sub peer_timeout { return 3 }
sub others {
    my ($self, $unit) = @_; return grep { $_ ne $unit } $self->names
}

# Every pair of units gets ports of its own, and each unit is told that its peers are there.
sub _relay {
    my ($self, $seed) = @_;
    my $units = $self->{units};
    my $port = $units->base + 210;
    my @places;
    $self->{control} = $units->dir . '/relay.rules';
    my %file;
    for my $from ($self->names) {
        my $text = sprintf "%s 127.0.0.1:%d 127.0.0.1:%d 127.0.0.1:%d\n", $from,
            map { $units->port($from, $_) } qw(http peer pg);
        for my $to ($self->others($from)) {
            push @places,
                map { "$from>$to/$_=" . ++$port . '=' . $units->port($to, $_) } qw(peer pg);
            $text .= sprintf "%s 127.0.0.1:%d 127.0.0.1:%d 127.0.0.1:%d\n", $to,
                $units->port($to, 'http'), $port - 1, $port;
        }
        $file{$from} = $text;
    }
    $self->{relay} = Punit::Server->new(
        cmd => [root() . '/t/chaos/relay', $self->{control}, @places],
        log => $units->dir . '/relay.log',
        env => { CHAOS_SEED => $seed },
    );
    $self->{relay}->start->until(sub { $self->{relay}->log_text eq "ready\n" }, 'is ready');
    for my $from ($self->names) {
        # the arbiters of names are assigned in the order of this file: the same everywhere
        my $path =
            spew($units->dir . "/$from.through-relay", sort { $a cmp $b } split /^/, $file{$from});
        chmod 0644, $path;
        for my $command (['unit', 'add', $path], ['mesh', 'join']) {
            my ($status, $out) = $units->punitctl($from, @$command);
            croak "punitctl @$command at $from: $out" if $status;
        }
    }
    return;
}

# The relay runs.
sub relayed { my ($self) = @_; return $self->{relay}->alive }

# Rules of the relay, as its lines; none: all passes.
sub rules {
    my ($self, @lines) = @_;
    spew("$self->{control}.new", map {"$_\n"} @lines);
    rename "$self->{control}.new", $self->{control} or croak $!;
    sleep 0.05;
    return;
}

# ---- failpoints

# Of the mover as it is built here; `build` does so.
sub build { return system('make', '-s', '-C', root(), 'FAILPOINTS=1', 'workers') == 0 }

sub failpoints {
    my $program = root() . "/build/failpoints/bin/punit-mover";
    my %names = map { $_ => 1 } split ' ', qx($program --failpoints);
    croak "$program has no failpoints" if !%names;
    return sort keys %names;
}

# lines: 'NAME ACTION [MS]', each armed when the one before it was reached
sub arm {
    my ($self, $unit, @lines) = @_;
    my $path = $self->dir . "/$unit/failpoint";
    unlink "$path.hit";
    spew("$path.tmp", map {"$_\n"} @lines);
    chown +(stat $self->dir . "/$unit")[4, 5], "$path.tmp";
    rename "$path.tmp", $path or croak $!;
    return;
}

# The last line armed was reached: gives the unit that it has to do with ('-': none).
sub hit {
    my ($self, $unit) = @_;
    my $path = $self->dir . "/$unit/failpoint";
    return if -e $path;
    my ($with) = slurp("$path.hit", absent => '') =~ /^with (\S+)/m;
    return $with;
}

sub disarm {
    my ($self, @units) = @_;
    for my $unit (@units ? @units : $self->names) {
        unlink map { $self->dir . "/$unit/failpoint$_" } '', '.hit';
        if ($self->{armed}{$unit}) {
            # of a server that is away there is nothing to release
            eval { $self->{armed}{$unit}->do('select pg_advisory_unlock_all()') };
            delete $self->{armed}{$unit};
        }
    }
    return;
}

sub commits { return @commits }

sub _commit_number {
    my ($what) = @_;
    return 1 + (grep { $commits[$_] eq $what } 0 .. $#commits)[0];
}

# A transaction that is about to commit this in a unit's database waits until disarm.
sub arm_commit {
    my ($self, $unit, $what) = @_;
    eval {
        my $dbh = $self->dbh($unit);
        $dbh->selectrow_array('select pg_advisory_lock(?, ?)', undef, $commit_lock,
            _commit_number($what));
        $self->{armed}{$unit} = $dbh;
    };
    return;
}

# Somebody waits: the unit whose session it is, '-' for one of this unit's own.
sub hit_commit {
    my ($self, $unit, $what) = @_;
    my ($user) = eval {
        $self->dbh($unit)->selectrow_array(
            q{
            select coalesce(substring(a.usename from '^punit_peer_(.*)'), '-') from pg_locks l
                join pg_stat_activity a using (pid)
             where l.locktype = 'advisory' and not l.granted
               and l.classid::bigint = ? and l.objid::bigint = ?
             limit 1}, undef, $commit_lock, _commit_number($what))
    };
    return $user;
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
    return map {m{/([^/]+)$}} glob $self->dir . "/$unit/sv/*";
}

# Of PostgreSQL its children too. Gives what was struck: {process => [pids]}.
sub strike {
    my ($self, $signal, $unit, @processes) = @_;
    @processes = $self->processes($unit) if !@processes;
    my %struck = map { $_ => [$self->pids($unit, $_)] } @processes;
    kill $signal, map {@$_} values %struck;
    return \%struck;
}

# Waits until what was struck runs anew and the unit answers; false after 30 s.
sub recover {
    my ($self, $unit, $struck) = @_;
    my $end = time + 30;
    for my $process (keys %$struck) {
        my %old = map { $_ => 1 } @{ $struck->{$process} };
        while (1) {
            my $pid = $self->{units}->pid($unit, $process);
            last if $pid && !$old{$pid};
            return 0 if time > $end;
            sleep 0.01;
        }
    }
    until ($self->healthy($unit)) {
        return 0 if time > $end;
        sleep 0.02;
    }
    return 1;
}

sub flush_grid {
    my ($self, $unit) = @_;
    for my $name (qw(grid tokens)) {
        $self->{units}->memcached($unit, $name)->flush;
    }
    return;
}

# All services of these units (all) answer.
sub healthy {
    my ($self, @units) = @_;
    for my $unit (@units ? @units : $self->names) {
        return 0 if !$self->{units}->healthy($unit);
        return 0 if !$self->{units}->pid($unit, 'mover') || !eval { $self->dbh($unit)->ping };
    }
    return 1;
}

# ---- what the databases say

# Moves and users that are not settled, as lines of text.
sub unsettled {
    my ($self, @users) = @_;
    my @found;
    for my $unit ($self->names) {
        my $rows = eval {
            $self->dbh($unit)->selectall_arrayref(
                q{
                select 'move of ' || user_id || '
                    from ' || from_unit || ' in phase ' || phase || coalesce(': ' || error, '')
                  from punit.move where finished_at is null and phase <> 'copy'
                      and user_id = any (?)
                union all
                select user_id || ' FENCED to ' || fence_to || ' at epoch ' || fence_epoch
                    from punit.own
                 where state = 'FENCED' and user_id = any (?)}, undef, \@users, \@users
            )
        };
        push @found, "$unit does not answer" if !$rows;
        push @found, map {"$unit: $_->[0]"} @{ $rows // [] };
    }
    return @found;
}

# Of erased users: units that have something else than the mark that they are, or something of
# theirs; text lines.
sub remains {
    my ($self, @users) = @_;
    return if !@users;
    my @found;
    for my $unit ($self->names) {
        my $rows = eval {
            $self->dbh($unit)->selectcol_arrayref(
                q{
                select o.user_id || ' ' || o.state || ' with ' || d.n || ' rows,
                    though he was erased'
                  from punit.own o cross join lateral punit.user_digest(o.user_id, -1) d
                 where o.user_id = any (?) and (o.state <> 'ERASED' or d.n > 0)
                union all
                select 'a move of ' || m.user_id || ', who was erased' from punit.move m
                    where m.user_id = any (?)},
                undef, \@users, \@users
            )
        };
        push @found, "$unit does not answer" if !$rows;
        push @found, map {"$unit: $_"} @{ $rows // [] };
    }
    return @found;
}

# The owner of each user: {user => [units]}
sub owners {
    my ($self, @users) = @_;
    my %owner = map { ($_ => []) } @users;
    for my $unit ($self->names) {
        push @{ $owner{$_} }, $unit for @{
            $self->dbh($unit)->selectcol_arrayref(
                q{select user_id from punit.own where state = 'OWNED' and user_id = any (?)},
                undef, \@users
            ) };
    }
    return \%owner;
}

# [[text, ver]...] of a user's list at a unit, up to a ver.
sub list {
    my ($self, $unit, $user) = @_;
    return $self->dbh($unit)
        ->selectall_arrayref('select text, ver from social.post where user_id = ? order by ver',
        undef, $user);
}

# ver, fork and list of a user at a unit, of one snapshot: the mover goes on meanwhile, a copy is
# pulled or evicted.
sub version_and_list {
    my ($self, $unit, $user) = @_;
    my ($ver, $fork, $list) = $self->dbh($unit)->selectrow_array(
        q{
        select o.ver, o.fork, (select json_agg(json_build_array(p.text, p.ver) order by p.ver)
            from social.post p where p.user_id = o.user_id)
          from punit.own o where o.user_id = ?}, undef, $user
    );
    return ($ver, $fork, $list ? JSON::PP::decode_json($list) : []);
}

sub own_log {
    my ($self, @users) = @_;
    my @log;
    for my $unit ($self->names) {
        push @log, map { [$unit, @$_] } @{
            $self->dbh($unit)->selectall_arrayref(
                'select extract(epoch from at), user_id, state, epoch, ver, fence_to
                    from chaos.own_log where user_id = any (?) order by seq',
                undef, \@users
            ) };
    }
    return \@log;
}

# The log and the owners at one moment. The units are read one after the other, and a hand-over may
# come between. So all is read until it is the same twice and each user has one owner. After 6 s the
# last reading is returned.
sub at_rest {
    my ($self, @users) = @_;
    my ($log, $owners);
    my $seen = '';
    for (1 .. 20) {
        ($log, $owners) = ($self->own_log(@users), $self->owners(@users));
        my $now = JSON::PP->new->canonical->encode([$log, $owners]);
        last if $now eq $seen && !grep { @$_ != 1 } values %$owners;
        $seen = $now;
        sleep 0.3;
    }
    return ($log, $owners);
}

# Ended hand-overs of users, and how long each pause was: [ms...]
sub pauses {
    my ($self, @users) = @_;
    return map {
        @{
            $self->dbh($_)->selectcol_arrayref(
                q{
        select extract(epoch from activated_at - fenced_at) * 1000 from punit.move
         where result = 'moved' and fenced_at is not null and user_id = any (?)}, undef, \@users
            ) }
    } $self->names;
}

sub stop {
    my ($self) = @_;
    # a child that ends is not the end
    return if $self->{pid} != $$;
    $self->{relay}->stop if $self->{relay};
    return;
}

sub DESTROY { local ($@, $?); $_[0]->stop }

1;
