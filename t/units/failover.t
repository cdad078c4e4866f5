#!/usr/bin/perl
# Slots that a standby of the unit's PostgreSQL can keep too: where both units have PostgreSQL 17,
# every subscription asks for them, and one of before gets them by `mesh join`.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
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
    skip "PostgreSQL $version has no such slots", 6 if !$kept;

    # as a release without this left it
    $units->dbh('us')->do('alter subscription punit_from_eu disable');
    ok(
        wait_until(
            sub {
                eval {
                    $units->dbh('us')->do('alter subscription punit_from_eu set (failover = false)');
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
}

done_testing;
