#!/usr/bin/perl
# The rights of every role are those that doc/SECURITY.md lists, and no others.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::File qw(slurp);
use Punit::Postgres;
use Punit::Tree qw(root);
use Test::More;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply;
my $dbh = $pg->dbh;
$dbh->do(q{select punit.add_peer('us', 'host=us dbname=punit', 'us:1')});

sub rows { return $dbh->selectall_arrayref(@_) }
sub column { return $dbh->selectcol_arrayref(@_) }

# The document: the rows of the table that begins with this heading, by their first two cells.
sub documented {
    my ($heading) = @_;
    my ($table) = slurp(root() . '/doc/SECURITY.md') =~ /^(\Q$heading\E.*\n(?:\|.*\n)+)/m;
    my (undef, undef, @lines) = split /\n/, $table // '';
    return [sort @lines];
}

# A row of a table as the document has it.
sub row {
    return '| ' . join(' | ', map { length ? $_ : '-' } @_) . ' |'
}

sub is_documented {
    my ($heading, $name, @rows) = @_;
    my %is = map { $_ => 1 } @rows;
    my %says = map { $_ => 1 } @{ documented($heading) };
    my @missing = grep { !$says{$_} } sort keys %is;
    my @wrong = grep { !$is{$_} } sort keys %says;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(\@missing, [], "$name: the document has each") or diag(join "\n", @missing);
    is_deeply(\@wrong, [], "$name: and no others") or diag(join "\n", @wrong);
    return;
}

# Every right of a role but the owner: schema, role, kind, privilege, name.
my $rights = rows(
    q{with acl as (
        select n.nspname, a.*, 'table' as kind,
               c.relname || case c.relkind when 'S' then ' (sequence)' else '' end as name
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
          cross join aclexplode(coalesce(c.relacl,
              acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) a
         where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not c.relispartition
        union all
        select n.nspname, a.*, 'table', c.relname || '.' || t.attname
          from pg_attribute t join pg_class c on c.oid = t.attrelid
          join pg_namespace n on n.oid = c.relnamespace cross join aclexplode(t.attacl) a
        union all
        select n.nspname, a.*, 'function', f.proname
          from pg_proc f join pg_namespace n on n.oid = f.pronamespace
          cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
        union all
        select n.nspname, a.*, 'schema', ''
          from pg_namespace n
          cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a)
      select nspname, coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), kind, privilege_type,
             name, is_grantable
        from acl where nspname !~ '^(pg_|information_schema)' and grantee <> grantor}
);
is_deeply([grep { $_->[5] } @$rights], [], 'nobody may pass a right on');
is_deeply([grep { $_->[1] eq 'PUBLIC' } @$rights], [], 'PUBLIC has no right in a schema');
is_deeply(
    [grep { $_->[2] eq 'schema' && $_->[3] ne 'USAGE' } @$rights],
    [], 'nobody makes objects in a schema'
);

my %right;
for (@$rights) {
    my ($schema, $role, $kind, $privilege, $name) = @$_;
    next if $schema eq 'public' && $role eq 'pg_database_owner';
    if ($kind eq 'schema') { $right{$role}{$schema}{usage} = 1; next }
    my $cell = $kind eq 'function' ? 'calls' : $privilege eq 'SELECT' ? 'reads' : 'writes';
    $right{$role}{$schema}{$cell}{$name} .= lc substr $privilege, 0, 1;
}
my @by_schema;
for my $role (sort keys %right) {
    for my $schema (sort keys %{ $right{$role} }) {
        my $of = $right{$role}{$schema};
        my $writes = $of->{writes} // {};
        push @by_schema,
            row(
            "`$role`", $schema,
            join(', ', sort keys %{ $of->{reads} // {} }),
            join(
                ', ',
                map { "$_ (" . join('', sort split //, $writes->{$_}) . ')' }
                    sort keys %$writes
            ),
            join(', ', sort keys %{ $of->{calls} // {} })
            );
    }
}
is_documented('| role | schema |', 'rights in schemas', @by_schema);

# ---- roles
my $roles = rows(
    q{select r.rolname, r.rolcanlogin, r.rolreplication, r.rolconnlimit,
             (select string_agg(m.roleid::regrole::text, ', ' order by 1) from pg_auth_members m
               where m.member = r.oid),
             (select string_agg(c, ', ' order by c) from pg_db_role_setting s
               cross join unnest(s.setconfig) c where s.setrole = r.oid),
             (select string_agg(x.what, ', ' order by x.what) from (
                 select lower(a.privilege_type) as what from pg_database d
                   cross join aclexplode(d.datacl) a
                  where d.datname = current_database() and a.grantee = r.oid
                 union all
                 select 'set ' || p.parname from pg_parameter_acl p
                   cross join aclexplode(p.paracl) a where a.grantee = r.oid) x),
             r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls
        from pg_roles r where r.rolname !~ '^pg_' and r.rolname <> 'postgres'}
);
is_deeply(
    [map { $_->[0] } grep { $_->[7] } @$roles],
    [], 'no role but postgres is a superuser, makes roles or databases, or bypasses row security'
);
is_documented(
    '| role | logs in |',
    'roles',
    map {
        row(
            '`' . ($_->[0] =~ s/_us$/_<unit>/r) . '`',
            $_->[1] ? 'yes' : 'no',
            $_->[2] ? 'its slot' : 'no',
            $_->[3] < 0 ? '' : $_->[3],
            map { $_ // '' } @$_[4, 5, 6])
    } @$roles
);

# ---- what PUBLIC keeps
is_deeply(
    column(
        q{select a.privilege_type from pg_database d cross join aclexplode(d.datacl) a
           where d.datname = current_database() and a.grantee = 0}
    ),
    [],
    'PUBLIC has no right in the database'
);
is_deeply(
    column(
        q{select l.lanname from pg_language l
            cross join aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a
           where a.grantee = 0 and l.lanpltrusted}
    ),
    [],
    'nor a language'
);
is_deeply(
    column(
        q{select p.oid::regprocedure::text from pg_proc p
            cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           where a.grantee = 0 and p.pronamespace = 'pg_catalog'::regnamespace
             and p.proname !~ '_old$'
             and p.proname ~ ('^(lo_|lo(read|write)$|pg_.*advisory|pg_notify|pg_export_snapshot'
                 || '|pg_logical_|pg_(create|drop|copy)_.*slot|pg_replication_slot_|pg_sync_'
                 || '|pg_read_|pg_ls_|pg_stat_file|pg_write_|pg_file_|pg_reload_conf|pg_rotate'
                 || '|pg_switch_wal|pg_promote|pg_replication_origin_(create|drop|advance)'
                 || '|pg_backup_|dblink)') order by 1}
    ),
    [],
    'nor a function of PostgreSQL that a peer could do harm with'
);
is_deeply(
    column(
        q{select p.oid::regprocedure::text from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace
           where p.prosecdef and n.nspname !~ '^pg_'
             and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
           order by 1}
    ),
    [],
    'a function with the rights of its owner pins its search_path'
);
is_deeply(
    column(
        q{select c.oid::regclass::text from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname !~ '^(pg_|information)' and c.relowner <> 10
          union all select p.oid::regprocedure::text from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace
           where n.nspname !~ '^(pg_|information)' and p.proowner <> 10}
    ),
    [],
    'no role but postgres owns anything'
);
done_testing;
