#!/usr/bin/perl
# Which tables a unit that was taken over can reach by the mesh: those of this unit's own list.
use strict;
use warnings;
use DBI;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Punit::Rogue;
use Punit::Units;
use Punit::Wait qw(patience wait_until);
use Test::More;

my $units = Punit::Units->start(env => { PUNIT_MOVE_AFTER => 64 });
my $rogue = Punit::Rogue->new($units, 'us');
my $us = $rogue->dbh;
my @others = ('eu', 'ap');

sub ctl { my ($unit, @arguments) = @_; return $units->punitctl($unit, @arguments) }

# As the rogue: no guard of its own stops it.
sub evil {
    my ($sql, @values) = @_;
    $us->do('set session_replication_role = replica');
    $us->do($sql, undef, @values);
    $us->do('set session_replication_role = origin');
    return;
}

my $ada = $units->http(
    'eu', POST => '/auth/register', undef,
    { email => 'ada@example.org', password => 'correct horse battery', name => 'Ada' })
    ->{json}{user_id};
ok($ada, 'a user of eu');

# ---- the role that applies
my $foreign = q{
    select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^pg_|^information_schema$'
       and c.oid not in (select tab from punit.mesh_plan('us', 'eu'))
       and has_table_privilege('punit_mesh_us', c.oid,
           'insert, update, delete, truncate, trigger')};
for my $unit (@others) {
    is(
        $units->one(
            $unit,
            q{select r.rolname from pg_subscription s join pg_roles r on r.oid = s.subowner
                where s.subname = 'punit_from_us' and not (r.rolsuper or r.rolbypassrls
                    or r.rolreplication or r.rolcreaterole or r.rolcreatedb)
                    and r.rolconnlimit = 0}
        ),
        'punit_mesh_us',
        "$unit: a role of the peer's own applies its rows"
    );
    is($units->one($unit, $foreign), 0, "$unit: it can write no table but those of the mesh");
    is(
        $units->one(
            $unit,
            q{select count(*) from punit.mesh_plan('us', 'eu') m where has_table_privilege(
            'punit_mesh_us', m.tab, 'truncate')}
        ),
        0,
        "$unit: and can truncate none"
    );
}
ok(!eval { $rogue->session('eu', user => 'punit_mesh_us') }, 'nobody logs in as it');
{
    my $eu = $units->connect('eu');
    my ($dsn) = 'dbi:Pg:host=' . $units->dir . '/eu/sock;port=' . $units->port('eu', 'pg');
    ok(
        !eval {
            DBI->connect(
                "$dsn;dbname=punit", 'punit_mesh_us', '',
                { RaiseError => 1, PrintError => 0 })
        },
        'nor at the unit itself'
    );
}

# ---- WALL 1: more tables
sub of_us {
    my ($unit) = @_;
    return $units->one(
        $unit,
        q{select string_agg(r.srrelid::regclass::text, ' '
                order by r.srrelid::regclass::text) from pg_subscription_rel r
            join pg_subscription s on s.oid = r.srsubid where s.subname = 'punit_from_us'}
    );
}
my $handlers = $units->one('eu', q{select count(*) from punit.message_handler});
my $subscribed = of_us('eu');
for my $table ('punit.message_handler', 'auth.credential') {
    $us->do("alter publication punit_reference add table $table");
    $us->do("grant select on $table to punit_peer");
}
my ($status, $output) = ctl('eu', 'mesh', 'join');
is($status, 1, 'mesh join refuses a peer that publishes more tables');
like(
    $output, qr/peer us publishes auth\.credential, punit\.message_handler, .*nothing was/s,
    'and names them'
);
is(of_us('eu'), $subscribed, 'nothing more is subscribed to');
is((ctl('ap', 'mesh', 'resync', 'us'))[0], 1, 'mesh resync refuses it too');
is(of_us('ap'), $subscribed, 'and has dropped nothing before');

# It lies to who asks, and only the subscription hears the truth.
my $view = $us->selectrow_array(q{select pg_get_viewdef('pg_catalog.pg_publication_tables')});
$view =~ s/;\s*$//;
my $lie = qq{create or replace view pg_catalog.pg_publication_tables as select v.* from ($view) v
    where current_setting('application_name') <> 'punitctl'
        or (v.schemaname, v.tablename) not in (('punit', 'message_handler'),
            ('auth', 'credential'))};
$us->do('set allow_system_table_mods = on');
$us->do($lie);
my $eu_credentials = $units->one(
    'eu', q{select md5(string_agg(c::text, ',' order by user_id))
    from auth.credential c}
);
$us->do('alter table punit.message_handler drop constraint message_handler_fn_check');
$us->do(q{insert into punit.message_handler (kind, fn)
    values ('run', '1; copy (select 1) to program ''true''; select punit.hear_forget')});
evil(
    q{insert into auth.credential (user_id, ver, name_hash, password) values ($1, 0,
    decode(repeat('00', 32), 'hex'), '$argon2id$')}, $ada
);
($status, $output) = ctl('eu', 'mesh', 'join', '--within', patience(3));
is($status, 1, 'one that lies about them is found out');
like($output, qr/subscription was dropped/, 'and no longer heard');
is(
    $units->one('eu', q{select count(*) from pg_subscription where subname = 'punit_from_us'}), 0,
    'not at all'
);
is(
    $units->one('eu', q{select count(*) from punit.message_handler}), $handlers,
    'no handler has come'
);

# Even if the operator subscribes by hand, the role cannot write them.
$us->do('alter publication punit_reference drop table punit.message_handler, auth.credential');
is((ctl('eu', 'mesh', 'join'))[0], 0, 'mended, it is joined again');
$us->do('alter publication punit_reference add table punit.message_handler, auth.credential');
$units->dbh('eu')->do('alter subscription punit_from_us refresh publication');
ok(
    wait_until(
        sub {
            $units->log_text('eu', 'postgres') =~ /permission denied for table message_handler/
                && $units->log_text('eu', 'postgres') =~ /permission denied for table credential/
        },
        30
    ),
    'what the subscription has in spite of that, the role may not write'
);
is($units->one('eu', q{select count(*) from punit.message_handler}), $handlers, 'no handler');
is(
    $units->one(
        'eu', q{select md5(string_agg(c::text, ',' order by user_id))
    from auth.credential c}
    ),
    $eu_credentials,
    'no credential'
);
$us->do('alter publication punit_reference drop table punit.message_handler, auth.credential');
$us->do(q{delete from punit.message_handler where kind = 'run'});
evil('delete from auth.credential where user_id = $1 and ver = 0', $ada);
is((ctl('eu', 'mesh', 'join'))[0], 0, 'mesh join takes them out again');
is(of_us('eu'), $subscribed, 'all of them');
$us->do("create or replace view pg_catalog.pg_publication_tables as $view");

# ---- TRUNCATE stops the subscription of the rogue, and nothing else
subtest 'TRUNCATE is no right of the role' => sub {
    my $was = $units->one('eu', 'select count(*) from training.exercise');
    $us->do(q{alter publication punit_reference set (publish = 'insert, update, delete,
        truncate')});
    evil('truncate training.exercise cascade');
    ok(
        wait_until(
            sub {
                my ($code, $json) = ctl('eu', 'mesh', 'status', '--json');
                my ($p) = grep { $_->{peer} eq 'us' } @{ decode_json($json)->{mesh} };
                $p->{incoming} eq 'failing'
            },
            30
        ),
        'mesh status shows it'
    );
    like(
        $units->log_text('eu', 'postgres'), qr/permission denied for table exercise/,
        'the log says why'
    );
    is($units->one('eu', 'select count(*) from training.exercise'), $was, 'no row is gone');
    $units->dbh('ap')->do(q{insert into sports.sport (id, name, category, met)
        values (gen_random_uuid(), 'Rowing', 'water', 8)});
    ok(
        wait_until(
            sub { $units->one('eu', q{select count(*) from sports.sport where name = 'Rowing'}) },
            20
        ),
        'rows of ap come'
    );
};

done_testing();
