#!/usr/bin/perl
# How an operator sees that a peer tries what it may not: for each kind of attempt one line in
# PostgreSQL's log that names the peer, one count, and an alarm in `punitctl status`.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Punit::Command qw(capture);
use Punit::Rogue;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start;
my $rogue = Punit::Rogue->new($units, 'us');
my $eu = $units->dbh('eu');
my ($calls, $streams) = ('punit_peer_us', 'punit_stream_us');


# One attempt: one count more, of this peer, role and rule alone, and one line.
sub is_counted {
    my ($name, $role, $rule, $attempt, $peer) = @_;
    $peer //= 'us';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $line = qr/refused peer=$peer source=session role=$role rule=$rule\b/;
    my $lines = sub { return scalar(() = $units->log_text('eu', 'postgres') =~ /$line/g) };
    my $rows = sub {
        return $eu->selectall_hashref(
            q{select peer || ' ' || role || ' ' || rule as key, n from punit.session_refusals()},
            'key'
        );
    };
    my ($said, $before) = ($lines->(), $rows->());
    $attempt->();
    wait_until(sub { $lines->() > $said }, 5);
    my $after = $rows->();
    my %risen = map { $_ => $after->{$_}{n} - ($before->{$_}{n} // 0) } keys %$after;
    delete @risen{ grep { !$risen{$_} } keys %risen };
    is_deeply(\%risen, { "$peer $role $rule" => 1 }, "$name: one count");
    is($lines->(), $said + 1, '... and one line that names the peer');
    return;
}

sub fails {
    my ($o, @statements) = @_;
    return sub {
        my ($status, $output) = $rogue->psql('eu', $o, @statements);
        isnt($status, 0, 'an attempt fails') or diag($output);
    };
}

sub status {
    my ($verb) = @_;
    my (undef, $text) = $units->punitctl('eu', @$verb);
    my (undef, $json) = $units->punitctl('eu', @$verb, '--json');
    return ($text, decode_json($json));
}

is($units->one('eu', 'select count(*) from punit.refusals'), 0, 'honest units: nothing is counted');
for my $verb (['status'], ['mesh', 'status']) {
    my ($text, $json) = status($verb);
    unlike($text, qr/^(ALARM|refused) /m, "@$verb has no alarm");
    is_deeply($json->{refusals}, [], '... and no refusals');
}

# ---- what a session tries
is_counted('a table', 'peer', 'permission', fails({ user => $calls }, 'select * from punit.own'));
is_counted(
    'a table', 'stream', 'permission',
    fails({ user => $streams }, 'select * from punit.own'));
is_counted(
    'to be another role', 'peer', 'permission',
    fails({ user => $calls }, 'set role postgres'));
is_counted(
    'to replicate by the role that calls',
    'peer', 'permission', fails({ user => $calls, more => 'replication=database' }, 'X'));
is_counted(
    'a statement without end', 'peer', 'timeout',
    fails({ user => $calls }, q{set statement_timeout = '50ms'}, 'select pg_sleep(10)'));
is_counted(
    'a transaction that waits',
    'stream', 'timeout',
    sub {
        my $db = $rogue->session('eu', user => $streams);
        $db->do(q{set idle_in_transaction_session_timeout = '50ms'});
        $db->begin_work;
        my ($pid) = $db->selectrow_array('select pg_backend_pid()');
        ok(
            wait_until(
                sub { !$units->one('eu', 'select 1 from pg_stat_activity where pid = $1', $pid) },
                5
            ),
            'is ended'
        );
        $db->{InactiveDestroy} = 1;
    }
);
$eu->do(q{alter role punit_peer_us set temp_file_limit = '1MB'});
is_counted(
    'a disk full of temporary files', 'peer', 'temp-files',
    fails(
        { user => $calls }, 'select * from generate_series(1, 1000000) g order by g desc limit 1'
            . ' offset 900000'
    ));
$eu->do('alter role punit_peer_us connection limit 0');
is_counted('more sessions', 'peer', 'sessions', fails({ user => $calls }, 'select 1'));
$eu->do('alter role punit_peer_us connection limit 32');
$eu->do('alter role punit_peer_us nologin');
is_counted('a role that is closed', 'peer', 'not-a-peer', fails({ user => $calls }, 'select 1'));
$eu->do('alter role punit_peer_us login');

# ---- who is not let in: the certificate says who it is
is_counted("$_->[0]", 'login', 'login', fails($_->[1], 'select 1'))
    for ['as postgres', { user => 'postgres' }], ['as another peer', { user => 'punit_peer_ap' }],
    ['as the role of an apply worker', { user => 'punit_mesh_us' }],
    ['as a role that does not exist', { user => 'punit_peer_mars' }],
    ['another database', { dbname => 'postgres' }],
    ['the whole cluster', { user => $streams, more => 'replication=true' }];
$eu->do('revoke punit_peer from punit_peer_us');
is_counted('a unit that is no peer', 'login', 'not-a-peer', fails({ user => $calls }, 'select 1'));
$eu->do('grant punit_peer to punit_peer_us');
is_counted(
    'as a peer without a certificate',
    'login', 'login',
    sub {
        my $port = $units->port('eu', 'pg');
        my ($status) = capture(
            'psql', '-d', "host=127.0.0.1 port=$port dbname=punit user=$calls sslmode=disable",
            '-c', 'select 1'
        );
        isnt($status, 0, 'an attempt fails');
    },
    '-'
);

# ---- mistakes, which harm nobody
subtest 'a mistake is no attempt' => sub {
    my $before = $rogue->ended('eu');
    fails({ user => $calls }, $_)->() for 'select 1/0', 'no statement', 'select * from nothing';
    is($rogue->ended('eu'), $before, 'nothing is counted');
};

# ---- what an apply worker meets: it ends and begins again, and counts again
subtest 'rows that a table refuses, and TRUNCATE' => sub {
    my $us = $rogue->dbh;
    my $follows = sub {
        my ($rule) = @_;
        ok(
            wait_until(
                sub {
                    my $n = $units->one(
                        'eu', q{select sum(n) from punit.session_refusals()
                           where peer = 'us' and role = 'mesh' and rule = $1}, $rule
                    );
                    my $lines = () = $units->log_text('eu', 'postgres') =~
                        /refused peer=us source=session role=mesh rule=$rule\b/g;
                    return $n && $n == $lines;
                },
                30
            ),
            "$rule: as many lines as counts"
        );
    };
    $us->do('alter table sports.sport drop constraint sport_name_check');
    $us->do(q{insert into sports.sport (origin_unit, name, category, met)
        values ('us', '', 'x', 1)});
    $follows->('row');
    $us->do(q{delete from sports.sport where name = ''});
    my ($status, $output) = $units->punitctl('eu', 'mesh', 'resync', 'us');
    is($status, 0, 'eu copies all of us again') or diag($output);
    $us->do('alter publication punit_reference set (publish = \'insert,update,delete,truncate\')');
    $us->do('truncate punit.unit_key_end');
    $follows->('permission');
};

# ---- what the operator sees
for my $verb (['status'], ['mesh', 'status']) {
    my ($text, $json) = status($verb);
    like(
        $text, qr/^ALARM +peer us, session peer timeout: 1 since \S+, last \S+$/m,
        "@$verb: an alarm"
    );
    like(
        $text, qr/^refused +peer us, session login not-a-peer: 1 /m,
        '... none for a unit that is no peer'
    );
    my ($row) = grep { $_->{source} eq 'session login' && $_->{peer} eq '-' }
        @{ $json->{refusals} };
    is_deeply([@$row{qw(rule n)}], ['login', 1], '... and each kind in JSON');
    ok($row->{alarm}, '... which is recent');
    my ($peer) = grep { $_->{peer} eq 'us' } @{ $json->{mesh} };
    is(
        $peer->{refused},
        $units->one('eu', q{select sum(n) from punit.refusals where peer = 'us'}),
        '... and the sum of this peer'
    );
}
subtest 'the counts are for this unit alone' => sub {
    fails({ user => $_ }, 'select * from punit.session_refusals()')->(),
        fails({ user => $_ }, 'show punit_guard.refusals')->()
        for $calls, $streams;
    my $gridd = $units->one(
        'eu', q{select has_function_privilege('punit_gridd',
        'punit.session_refusals()', 'execute')}
    );
    ok($gridd, 'and a program that is no superuser reads them');
};
done_testing;
