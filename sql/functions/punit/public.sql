-- What PostgreSQL lets every role do, and no peer needs.

create or replace function punit.close_public() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    f record;
begin
    for f in
        select p.oid::regprocedure as name, p.proname from pg_proc p
         where p.pronamespace = 'pg_catalog'::regnamespace
           and (p.proname ~ '^(lo_|lo(read|write)$|pg_(try_)?advisory_|pg_logical_)'
                or p.proname ~ '^pg_(create|drop|copy)_.*slot$'
                or p.proname in ('pg_replication_slot_advance', 'pg_sync_replication_slots',
                                 'pg_notify', 'pg_export_snapshot'))
           -- null: as PostgreSQL made it, which is for all
           and (p.proacl is null or exists (select from aclexplode(p.proacl) a
                                             where a.grantee = 0))
         order by 1
    loop
        execute format('revoke execute on function %s from public', f.name);
        if f.proname ~ '^(pg_notify$|pg_(try_)?advisory_)' then
            execute format('grant execute on function %s to punit_mover, punit_service', f.name);
        end if;
    end loop;
    -- `do` would be a program of the peer
    revoke usage on language plpgsql, sql from public;
end
$$;
comment on function punit.close_public() is
    'takes from PUBLIC, in this database, what a peer could do harm with: large objects, advisory'
    ' locks, slots, messages in the WAL, notices and languages. punitctl schema calls it';
