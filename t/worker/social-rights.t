# What the role of each service may touch.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Postgres;
use Punit::Services qw(services);

my @services = services();
my $pg = Punit::Postgres->new(unit => 'eu')->apply();
my $db = $pg->dbh;

my $tables = $db->selectall_arrayref(
    q{select n.nspname, format('%I.%I', n.nspname, c.relname), c.relkind = 'v'
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'p', 'm') and n.nspname = any(?)}, undef, \@services
);

for my $service (@services) {
    subtest "the role of $service reads and writes no table of another service" => sub {
        my $role = $pg->dbh("punit_$service");
        my ($own, $others) = (0, 0);
        for my $t (@$tables) {
            my ($schema, $table, $view) = @$t;
            if ($schema eq $service) {
                $own++ if eval { $role->do("select * from $table limit 1") };
                next;
            }
            $others++;
            for my $statement ("select * from $table limit 1", "delete from $table",
                $view ? () : "truncate $table")
            {
                ok !eval { $role->do($statement); 1 }, $statement or next;
                is $role->state, '42501';
            }
        }
        ok $own, 'its own it reads';
        ok $others > 5, 'others there are';
    };
}

subtest 'no service writes ownership beyond the fence, nor tombstones, dedup or directory' => sub {
    for my $service (@services) {
        my $role = $pg->dbh("punit_$service");
        for (
            q{update punit.own set state = 'OWNED'}, 'update punit.own set epoch = 9',
            'delete from punit.own',
            q{insert into punit.own (user_id, state) values (gen_random_uuid(), 'COPY')},
            'delete from punit.tomb',
            'select * from punit.dedup', q{update punit.home set epoch = 1}, 'truncate punit.own'
            )
        {
            ok !eval { $role->do($_); 1 }, "$service: $_";
            is $role->state, '42501';
        }
    }
};

subtest 'a function of another service runs only where its owner lets it' => sub {
    my %allowed = map { $_ => 1 } 'sports training.has_programme',
        'metrics sports.missing_activities',
        'social sports.missing_activities', 'metrics profile.time_zone_of', 'auth profile.create';
    my $rows = $db->selectall_arrayref(
        q{
        select s.service || ' ' || n.nspname || '.' || p.proname
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            cross join unnest(?::text[]) s (service)
        where n.nspname = any(?) and n.nspname <> s.service
          and has_schema_privilege('punit_' || s.service, n.oid, 'usage')
          and has_function_privilege('punit_' || s.service, p.oid, 'execute')}, undef, \@services,
        \@services
    );
    is_deeply [sort map { $_->[0] } @$rows], [sort keys %allowed];
};

subtest 'PUBLIC may run none of our functions' => sub {
    is_deeply $db->selectcol_arrayref(
        q{
        select p.oid::regprocedure::text from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace
        cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where n.nspname = any(?) and a.grantee = 0}, undef, [@services, 'punit']
        ),
        [];
};

done_testing;
