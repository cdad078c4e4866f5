#!/usr/bin/perl
# Slots that a standby of the unit's PostgreSQL can keep too: where both units have PostgreSQL 17,
# every subscription asks for them, and one of before gets them by `mesh join`.
use strict;
use warnings;
use DBI;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Command qw(as_punit capture);
use Punit::File qw(append);
use Punit::Server;
use Punit::Units;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us']);
my $version = $units->one('eu', 'show server_version_num');
my $kept = $version >= 170000 ? 1 : 0;

# Of PostgreSQL 15 and 16 neither has the column.
my $slot = q{select coalesce((to_jsonb(s) ->> 'failover')::bool, false)::int
    from pg_replication_slots s where slot_name = 'punit_to_us'};
my $asked = q{select coalesce((to_jsonb(s) ->> 'subfailover')::bool, false)::int
    from pg_subscription s where subname = 'punit_from_eu'};

sub arrives {
    my ($name) = @_;
    $units->dbh('eu')->do(
        q{insert into sports.sport (id, name, category, met)
            values (gen_random_uuid(), ?, 'water', 8)}, undef, $name
    );
    return wait_until(
        sub { $units->one('us', 'select count(*) from sports.sport where name = ?', $name) }, 10
    );
}

my $which = sprintf 'PostgreSQL %d: ', $version / 10000;
my $said = $kept ? 'survives a failover' : 'is as it can be';
is($units->one('eu', $slot), $kept, "${which}a peer's slot $said");
is($units->one('us', $asked), $kept, "${which}so does the subscription that reads it");
ok(arrives('Kiting'), 'rows come through it');

my ($status, $output) = $units->punitctl('us', 'mesh', 'join');
is($status, 0, 'a second join keeps it so') or diag $output;
is($units->one('eu', $slot), $kept, 'at the peer');

SKIP: {
    skip "PostgreSQL $version has no such slots", 8 if !$kept;

    # as a release without this left it
    $units->dbh('us')->do('alter subscription punit_from_eu disable');
    ok(
        wait_until(
            sub {
                eval {
                    $units->dbh('us')
                        ->do('alter subscription punit_from_eu set (failover = false)');
                    1;
                }
            },
            10
        ),
        'a subscription of before'
    );
    is($units->one('eu', $slot), 0, 'with its slot');
    ($status, $output) = $units->punitctl('us', 'mesh', 'join');
    is($status, 0, 'is joined again') or diag $output;
    is($units->one('us', $asked), 1, 'and survives a failover then');
    is($units->one('eu', $slot), 1, 'at the peer too');
    ok(arrives('Wakeboarding'), 'and rows come through it');
    keeps();
}

# A standby of eu's PostgreSQL, as doc/OPERATIONS.md says what it needs.
sub keeps {
    my $eu = $units->dir . '/eu';
    my $bin = '/usr/lib/postgresql/' . int($version / 10000) . '/bin';
    my $port = $units->port('eu', 'pg');
    append("$eu/pg/pg_hba.conf", "local replication postgres peer map=punit\n");
    $units->dbh('eu')->do('select pg_reload_conf()');
    ($status, $output) = capture(
        as_punit(), "$bin/pg_basebackup", '--pgdata', "$eu/standby",
        '--dbname', "host=$eu/sock port=$port user=postgres dbname=punit",
        qw(--write-recovery-conf --create-slot --slot standby --checkpoint fast --no-sync)
    );
    is($status, 0, 'a standby of the peer\'s PostgreSQL') or diag $output;
    my $standby = Punit::Server->new(
        cmd => [
            as_punit(), "$bin/postgres", '-D', "$eu/standby",
            map { ('-c', $_) } "unix_socket_directories=$eu/standby", 'listen_addresses=',
            'sync_replication_slots=on', 'hot_standby_feedback=on'
        ],
        log => "$eu/log/standby.log", cwd => $units->dir, stop_limit => 30,
    );
    my $synced = sub {
        my $there = eval {
            DBI->connect(
                "dbi:Pg:host=$eu/standby;port=$port;dbname=punit",
                'postgres', '', { RaiseError => 1, PrintError => 0 })
        } or return 0;
        my ($found) = $there->selectrow_array(
            q{select count(*) from pg_replication_slots
                where slot_name = 'punit_to_us' and synced and not temporary}
        );
        $there->disconnect;
        # The standby takes a slot over once the slot has gone beyond its own beginning.
        $units->dbh('eu')->do(q{select pg_log_standby_snapshot()});
        return $found;
    };
    $standby->start;
    ok(wait_until($synced, 60), 'keeps the slot too');
    $standby->stop('INT');
    return;
}

done_testing;
