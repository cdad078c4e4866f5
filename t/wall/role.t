#!/usr/bin/perl
# What the roles of a peer can do in this unit's PostgreSQL, when the peer was taken over: the
# messages of a hand-over and its own slot, and nothing else. Each attempt is one line in the log
# that names the peer, and one count, and leaves nothing.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Rogue;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us', 'ap']);
my $rogue = Punit::Rogue->new($units, 'us');
my $replication = 'replication=database';
my $eu = $units->dbh('eu');

sub one { return $units->one('eu', @_) }

sub count_lines {
    my ($line) = @_;
    return scalar(() = $units->log_text('eu', 'postgres') =~ /$line/g);
}

# What eu has that a peer could change by its roles.
sub state_of_eu {
    return join '|', map { one($_) // '' } (
        q{select string_agg(slot_name || ':' || plugin || ':' || slot_type, ',' order by slot_name)
            from pg_replication_slots},
        'select count(*) from pg_largeobject_metadata',
        q{select count(*) from pg_locks l join pg_stat_activity a using (pid)
           where l.locktype = 'advisory' and a.usename ~ '^punit_(peer|stream)_'},
        q{select string_agg(rolname || rolsuper || rolreplication || rolcanlogin, ','
            order by rolname) from pg_roles},
        q{select string_agg(c.oid::regclass::text, ',' order by c.oid) from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname !~ '^pg_(toast|catalog)' and c.relpersistence <> 't'},
        'select count(*) from punit.own',
        q{select string_agg(setrole::regrole::text || setconfig::text, ',' order by setrole)
            from pg_db_role_setting},
    );
}

my %role = (calls => 'punit_peer_us', streams => 'punit_stream_us');
my $clean = state_of_eu();

# The attempt fails with this message, eu says it once in its log, counts it, and nothing is left.
sub is_refused_as {
    my ($name, $as, $more, $line, @statements) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = count_lines($line);
    my ($ended, $lines) = ($rogue->ended('eu'), $rogue->lines('eu'));
    my ($status, $output) = $rogue->psql('eu', { user => $role{$as}, more => $more }, @statements);
    isnt($status, 0, $name);
    like($output, $line, '... and hears why');
    ok(wait_until(sub { count_lines($line) == $before + 1 }, 5), '... one line in the log')
        or diag(count_lines($line) - $before);
    is($rogue->lines('eu'), $lines + 1, '... which names the peer');
    is($rogue->ended('eu'), $ended + 1, '... and one count of this peer');
    is(state_of_eu(), $clean, '... and nothing is left');
    return;
}

# The library of PostgreSQL ends the session.
sub is_stopped {
    my ($name, $rule, $more, @statements) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = one('show punit_guard.refused');
    is_refused_as(
        $name, 'streams', $more, qr/FATAL: +refused peer=us source=session rule=$rule\b/,
        @statements
    );
    is(one('show punit_guard.refused'), $before + 1, '... counted');
    return;
}

subtest 'honest units are as they should be' => sub {
    is(
        one(q{select string_agg(usename, ',' order by usename) from pg_stat_replication}),
        'punit_stream_ap,punit_stream_us', 'each peer streams by its role for it'
    );
    is(
        one(q{select count(*) from pg_roles where rolname ~ '^punit_peer_' and rolreplication}),
        0, 'no role that calls may stream'
    );
    is(one('show punit_guard.refused'), 0, 'no session was ended');
    is(one('select count(*) from punit.refusals'), 0, 'nothing was refused');
    unlike(
        $units->log_text('eu', 'postgres'), qr/received replication command/,
        'the log does not tell of allowed commands'
    );
};

# ---- WALL 10
is_stopped('BASE_BACKUP of the whole cluster', 'base-backup', $replication, 'BASE_BACKUP');
is_stopped(
    'with options, and blanks before it',
    'base-backup', $replication, q{  BASE_BACKUP (LABEL 'x', CHECKPOINT 'fast');}
);
is_refused_as(
    'physical replication', 'streams', 'replication=true',
    qr/no pg_hba.conf entry for replication connection/, 'IDENTIFY_SYSTEM'
);
is_refused_as(
    'replication by the role that calls', 'calls', $replication,
    qr/must be superuser or replication role|permission denied to start WAL sender/,
    'IDENTIFY_SYSTEM'
);
is_stopped('the history of a timeline', 'command', $replication, 'TIMELINE_HISTORY 1');

subtest 'whatever postgresql.conf says of the log' => sub {
    my $level = sub { return one('show log_min_messages') };
    $eu->do(q{alter system set log_min_messages = 'panic'});
    $eu->do('select pg_reload_conf()');
    ok(wait_until(sub { $level->() eq 'panic' }, 5), 'a log without errors');
    is_stopped('BASE_BACKUP', 'base-backup', $replication, 'BASE_BACKUP');
    is_refused_as('a table', 'calls', '', qr/permission denied for/, 'select * from punit.own');
    $eu->do('alter system reset log_min_messages');
    $eu->do('select pg_reload_conf()');
    ok(wait_until(sub { $level->() ne 'panic' }, 5), 'and as it was');
};

# ---- WALL 11
is_stopped(
    'a slot of test_decoding', 'plugin', $replication,
    'CREATE_REPLICATION_SLOT spy TEMPORARY LOGICAL test_decoding'
);
is_stopped(
    'a slot of a name of its own',
    'slot', $replication, 'CREATE_REPLICATION_SLOT spy LOGICAL pgoutput'
);
is_stopped(
    'a physical slot, which keeps WAL', 'physical', $replication,
    'CREATE_REPLICATION_SLOT spy PHYSICAL (RESERVE_WAL)'
);
is_stopped(
    'to read the slot of another unit',
    'slot', $replication,
    q{START_REPLICATION SLOT punit_to_ap LOGICAL 0/0 (proto_version '1',}
        . q{ publication_names 'punit_reference')}
);
is_stopped('to drop it', 'slot', $replication, 'DROP_REPLICATION_SLOT punit_to_ap');
is_stopped('to look at it', 'command', $replication, 'READ_REPLICATION_SLOT punit_to_ap');
is_stopped(
    'to read what is for another unit through the own slot',
    'publication', $replication,
    q{START_REPLICATION SLOT punit_to_us LOGICAL 0/0 (proto_version '1',}
        . q{ publication_names 'punit_reference,"punit_messages_ap"')}
);
is_stopped(
    'to stream the WAL itself',
    'physical', $replication, 'START_REPLICATION SLOT punit_to_us PHYSICAL 0/0'
);
for my $call (
    q{pg_create_logical_replication_slot('spy', 'test_decoding')},
    q{pg_create_physical_replication_slot('spy', true)},
    q{pg_copy_logical_replication_slot('punit_to_ap', 'spy')},
    q{pg_logical_slot_get_changes('punit_to_ap', null, null)},
    q{pg_logical_slot_peek_binary_changes('punit_to_us', null, null)},
    q{pg_replication_slot_advance('punit_to_ap', pg_current_wal_lsn())},
    q{pg_drop_replication_slot('punit_to_ap')},
    )
{
    my ($function) = $call =~ /^(\w+)/;
    is_refused_as(
        "$function in SQL",
        'streams', $_, qr/permission denied for function $function/, "select $call"
        )
        for '', $replication;
}

subtest 'slots of the first copy of a table: few, and each of the peer that made it' => sub {
    my ($status, $output) = $rogue->psql(
        'eu', { user => $role{streams}, more => $replication },
        q{CREATE_REPLICATION_SLOT pg_1_sync_1_1 TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')},
        'DROP_REPLICATION_SLOT pg_1_sync_1_1'
    );
    is($status, 0, 'one is made and dropped') or diag($output);
    is_stopped(
        'no more than a subscription needs',
        'slot', $replication,
        map {"CREATE_REPLICATION_SLOT pg_1_sync_${_}_1 TEMPORARY LOGICAL pgoutput"} 1 .. 20
    );
    my $ap = Punit::Rogue->new($units, 'ap');
    my $by_ap = sub { $ap->psql('eu', { user => 'punit_stream_ap', more => $replication }, @_) };
    ($status, $output) =
        $by_ap->(q{CREATE_REPLICATION_SLOT pg_1_sync_1_1 LOGICAL pgoutput (SNAPSHOT 'nothing')});
    is($status, 0, 'ap has one') or diag($output);
    $clean = state_of_eu();
    is_stopped('us cannot drop it', 'slot', $replication, 'DROP_REPLICATION_SLOT pg_1_sync_1_1');
    is_stopped(
        'nor read it', 'slot', $replication,
        q{START_REPLICATION SLOT pg_1_sync_1_1 LOGICAL 0/0 (proto_version '1',}
            . q{ publication_names 'punit_reference')}
    );
    ($status, $output) = $by_ap->('DROP_REPLICATION_SLOT pg_1_sync_1_1');
    is($status, 0, 'ap drops it') or diag($output);
    $clean = state_of_eu();
};

# ---- WALL 12
subtest 'a notice' => sub {
    my $user = Punit::User->register($units, 'eu');
    $clean = state_of_eu();
    is_stopped("$_->[0]", 'statement', '', $_->[1])
        for ['NOTIFY', q{notify punit_ended, 'jti x'}], ['LISTEN', 'listen punit_ended'];
    is_refused_as(
        'pg_notify()', 'calls', '', qr/permission denied for function pg_notify/,
        q{select pg_notify('punit_ended', 'jti x')}
    );
    is($user->ask('eu', GET => '/profile')->{status}, 200, 'a token is as good as before');
};

# ---- WALL 13
for my $call ('pg_advisory_lock', 'pg_try_advisory_xact_lock', 'pg_advisory_lock_shared') {
    is_refused_as(
        "$call()", 'calls', '', qr/permission denied for function $call\b/,
        "select $call(hashtext('punit.work_off'))"
    );
}
is_stopped('LOCK TABLE', 'statement', '', 'begin', 'lock table punit.home in access share mode');

# ---- WALL 14
for my $call (
    q{lo_create(0)}, q{lo_from_bytea(0, 'x')}, q{lo_put(1, 0, 'x')}, q{lo_open(1, 131072)},
    q{pg_logical_emit_message(true, 'x', repeat('x', 100000))}, q{pg_export_snapshot()},
    )
{
    my ($function) = $call =~ /^(\w+)/;
    is_refused_as(
        "$function()", 'calls', '', qr/permission denied for function $function/,
        "select $call"
    );
}
subtest 'more sessions than a peer needs' => sub {
    my $user = Punit::User->register($units, 'eu');
    my %open;
    for my $as (sort values %role) {
        my $error = '';
        my ($ended, $lines) = ($rogue->ended('eu', 'sessions'), $rogue->lines('eu', 'sessions'));
        while (!$error && @{ $open{$as} // [] } < 131) {
            my $db = eval { $rogue->session('eu', user => $as) };
            $error = $@;
            push @{ $open{$as} }, $db if $db;
        }
        like($error, qr/too many connections for role "$as"/, "$as: are refused");
        is($rogue->ended('eu', 'sessions'), $ended + 1, '... counted');
        is($rogue->lines('eu', 'sessions'), $lines + 1, '... one line in the log');
    }
    cmp_ok(@{ $open{punit_peer_us} } + @{ $open{punit_stream_us} }, '<=', 44, 'after some');
    my %status;
    $status{ $user->ask('eu', GET => '/profile')->{status} }++ for 1 .. 50;
    is_deeply(\%status, { 200 => 50 }, 'meanwhile users of eu are served');
    ok($units->healthy('eu'), 'by all services');
    $_->disconnect for map {@$_} values %open;
    $clean = state_of_eu();
};
is(
    ($rogue->psql('eu', {}, 'show temp_file_limit'))[1], "1GB\n",
    'its temporary files have a limit'
);
is_refused_as(
    '... which it cannot raise', 'calls', '',
    qr/permission denied to set parameter "temp_file_limit"/, 'set temp_file_limit = -1'
);

# ---- code and objects of its own
is_stopped("$_->[0]", 'statement', '', $_->[1])
    for ['DO', q{do 'begin perform 1; end'}], ['a table', 'create table public.mine (i int)'],
    ['a temporary table', 'create temp table mine (i int)'],
    ['a function', q{create function public.f() returns int language sql as 'select 1'}],
    ['its own role', q{alter role punit_stream_us set statement_timeout = 0}],
    ['a prepared transaction', q{prepare transaction 'x'}],
    ['COPY to a program', q{copy (select 1) to program 'cat'}],
    ['COPY into a table', q{copy punit.outbox from stdin}],
    ['a file as a library', q{load '/tmp/x.so'}],
    ['what another role owns', 'reassign owned by punit_stream_us to punit_stream_ap'];
is_refused_as("to be $_", 'calls', '', qr/permission denied to set role "$_"/, "set role $_")
    for 'postgres', 'punit_mover', 'punit_auth', 'punit_stream_us', 'punit_peer_ap';
is_refused_as(
    'to be postgres from the beginning',
    'calls', '', qr/permission denied to set session authorization/,
    'set session authorization postgres'
);
is_refused_as(
    'a file', 'calls', '', qr/permission denied for function pg_read_file/,
    q{select pg_read_file('pg_hba.conf')}
);
is_refused_as(
    "a setting: $_->[0]",
    'streams', '', qr/permission denied to set parameter "$_->[0]"/, "set $_->[0] = $_->[1]"
    )
    for ['log_replication_commands', 'off'], ['session_replication_role', 'replica'];
is_refused_as(
    'to end a session of a service',
    'calls', '',
    qr/must be a member of the role whose process|permission denied to terminate/,
    q{select pg_terminate_backend(pid) from pg_stat_activity where usename = 'punit_auth' limit 1}
);
for my $table ('punit.own', 'punit.refusal', 'punit.peer', 'auth.bucket') {
    is_refused_as(
        "$table by the role that $_", $_, '', qr/permission denied for/,
        "select * from $table limit 1"
        )
        for 'streams', 'calls';
}
is_refused_as(
    'the messages for others by the role that calls',
    'calls', '', qr/permission denied for table outbox/, 'select * from punit.outbox'
);
is_refused_as("$_ of the role that streams", 'streams', '', qr/permission denied for/, "select $_")
    for 'punit.leave_replication()', q{auth.find_name('x')},
    'count(*) from profile.profile';

# ---- a peer from before there was a role that streams
subtest 'a peer of release 0.2.0' => sub {
    my $us = $units->dbh('us');
    my $as = sub {
        return one(q{select string_agg(usename, ',') from pg_stat_replication
            where application_name = 'punit_from_eu' and usename ~ '_us$'}) // ''
    };
    my $conninfo = $us->selectrow_array(
        q{select replace(subconninfo, 'punit_stream_us', 'punit_peer_us') from pg_subscription
           where subname = 'punit_from_eu'}
    );
    $eu->do('alter role punit_peer_us replication');
    $eu->do('grant select on all tables in schema punit to punit_peer_us');
    $us->do('alter subscription punit_from_eu connection ' . $us->quote($conninfo));
    ok(wait_until(sub { $as->() eq 'punit_peer_us' }, 20), 'streams by its one role');
    $eu->do('drop role punit_stream_us');
    $clean = state_of_eu();
    my $line = qr/refused peer=us source=session rule=base-backup/;
    is_refused_as('which cannot copy the cluster', 'calls', $replication, $line, 'BASE_BACKUP');
    my ($status, $output) = $units->punitctl('us', 'mesh', 'join');
    is($status, 0, 'mesh join leaves it so') or diag($output);
    like(
        $output, qr/peer eu knows no role punit_stream_us yet; `punitctl schema` there/,
        'and says what is to be done'
    );
    is($as->(), 'punit_peer_us', 'it streams on');
    $eu->do(q{update punit.schema_file set sha256 = '' where name = 'functions/punit/mesh.sql'});
    ($status, $output) = $units->punitctl('eu', 'schema');
    is($status, 0, 'schema at eu') or diag($output);
    ($status, $output) = $units->punitctl('us', 'mesh', 'join');
    is($status, 0, 'mesh join at us') or diag($output);
    ok(wait_until(sub { $as->() eq 'punit_stream_us' }, 20), 'streams by the role for it');
    is(
        one(q{select rolreplication from pg_roles where rolname = 'punit_peer_us'}),
        0, 'and the role that calls streams no more'
    );
    $eu->do('revoke all on all tables in schema punit from punit_peer_us');
};

# ---- and honest work goes on
subtest 'afterwards' => sub {
    my $user = Punit::User->register($units, 'eu', email => 'eve@example.org');
    my ($status, $output) =
        $units->punitctl('eu', 'move', 'eve@example.org', '--to', 'us', '--wait');
    is($status, 0, 'a user moves to us') or diag($output);
    ($status, $output) = $units->punitctl('us', 'mesh', 'resync', 'eu');
    is($status, 0, 'us copies all of eu again') or diag($output);
    ok(
        wait_until(sub { ($units->punitctl('eu', 'mesh', 'status'))[0] == 0 }, 20),
        'and the mesh is well'
    );
};

done_testing;
