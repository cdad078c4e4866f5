-- How long tombstones and copies are kept.

create or replace function punit.collect_tombs(p_older_s double precision, p_users int default 50)
returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t timestamptz := clock_timestamp() - p_older_s * interval '1 second';
    u uuid;
    v bigint;
    k bigint;
    n bigint := 0;
begin
    -- few users at a time: their writers wait until all of them are done
    for u in select distinct d.user_id from punit.tomb d where d.buried_at < t limit p_users loop
        -- A user who is between two units, or being copied, is left for another time.
        perform from punit.own o where o.user_id = u and o.state in ('OWNED', 'COPY')
            for no key update skip locked;
        continue when not found;
        with gone as (delete from punit.tomb d where d.user_id = u and d.buried_at < t
                      returning d.ver)
        select count(*), max(g.ver) into k, v from gone g;
        -- In the same transaction: a copy older than the deleted tombstones needs all rows.
        update punit.own o set gc_ver = greatest(o.gc_ver, v) where o.user_id = u and v is not null;
        n := n + k;
    end loop;
    return n;
end
$$;
comment on function punit.collect_tombs(double precision, int) is
    'deletes tombstones older than p_older_s of at most p_users users and raises their gc_ver;'
    ' says how many';
grant execute on function punit.collect_tombs(double precision, int) to punit_mover;

create or replace function punit.drop_copy(p_user uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.user_clear(p_user);
    update punit.own o set ver = -1, fork = null, copied_from = null,
        touched_at = clock_timestamp()
    where o.user_id = p_user and o.state = 'COPY';
end
$$;
comment on function punit.drop_copy(uuid) is
    'deletes the rows of a copy. The row of punit.own, which the caller has locked as COPY, stays,'
    ' with epoch and refused_epoch, at ver -1: the next PULL is full';

create or replace function punit.evict_copies(p_older_s double precision, p_users int default 100)
returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    u uuid;
    n bigint := 0;
begin
    for u in select o.user_id from punit.own o
              where o.state = 'COPY' and o.fork is not null
                and o.touched_at < clock_timestamp() - p_older_s * interval '1 second'
                and not exists (select from punit.move m where m.user_id = o.user_id
                                and m.finished_at is null)
              order by o.touched_at limit p_users for no key update skip locked loop
        perform punit.drop_copy(u);
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function punit.evict_copies(double precision, int) is
    'deletes the rows of at most p_users copies that have not changed for p_older_s'
    ' (punit.drop_copy)';
grant execute on function punit.evict_copies(double precision, int) to punit_mover;
