-- What is kept of users and deletions, how long, and whether copies are what they should be.

create index tomb_old on punit.tomb using brin (buried_at) with (autosummarize = on);

-- no ver in it: the bump would cease to be HOT
create index own_copy on punit.own (touched_at) where state = 'COPY' and fork is not null;

create function punit.collect_tombs(p_older_s double precision, p_users int default 50) returns bigint
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
        -- whoever is between two units, or being copied, is left for another time
        perform from punit.own o where o.user_id = u and o.state in ('OWNED', 'COPY') for no key update skip locked;
        continue when not found;
        with gone as (delete from punit.tomb d where d.user_id = u and d.buried_at < t returning d.ver)
        select count(*), max(g.ver) into k, v from gone g;
        -- in this same transaction: a copy older than what is no longer on record needs all rows
        update punit.own o set gc_ver = greatest(o.gc_ver, v) where o.user_id = u and v is not null;
        n := n + k;
    end loop;
    return n;
end
$$;
comment on function punit.collect_tombs(double precision, int) is
    'forgets deletions older than p_older_s seconds of at most p_users users and raises their gc_ver; gives how many';

create function punit.evict_copies(p_older_s double precision, p_users int default 100) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    u uuid;
    n bigint := 0;
begin
    for u in select o.user_id from punit.own o
              where o.state = 'COPY' and o.fork is not null
                and o.touched_at < clock_timestamp() - p_older_s * interval '1 second'
                and not exists (select from punit.move m where m.user_id = o.user_id and m.finished_at is null)
              order by o.touched_at limit p_users for no key update skip locked loop
        perform punit.user_clear(u);
        update punit.own o set ver = -1, fork = null, copied_from = null, touched_at = clock_timestamp()
        where o.user_id = u;
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function punit.evict_copies(double precision, int) is
    'removes the rows of at most p_users copies that have not changed for p_older_s seconds. The own row stays, with epoch and refused_epoch, at ver -1: the next PULL is full';

create function punit.audit_note(p_user uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    -- own and rows in one snapshot: he may be writing here already
    update punit.move m set audit_ver = x.ver, audit_n = x.n, audit_digest = x.digest
      from (select o.ver, d.n, d.digest from punit.own o cross join lateral punit.user_digest(o.user_id, -1) d
             where o.user_id = p_user and o.state = 'OWNED') x
     where m.user_id = p_user and m.to_unit = punit.self() and m.phase = 'retire';
end
$$;
comment on function punit.audit_note(uuid) is
    'right after ACTIVATE, unless all rows were just compared at this very ver: count and digest of all rows here, to be compared later with the old owner''s';

create function punit.audit_due(p_older_s double precision) returns table (move_id uuid, user_id uuid, unit text, n bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    -- by unit, so that one that is away does not keep the others waiting
    select m.move_id, m.user_id, p.id, coalesce(m.audit_n, 0)
      from punit.peer p
     cross join lateral (
           select x.move_id, x.user_id, x.audit_n from punit.move x
            where x.result = 'moved' and x.audit is null and x.from_unit = p.id
              and x.finished_at > clock_timestamp() - interval '1 day'
              and x.finished_at < clock_timestamp() - p_older_s * interval '1 second'
            order by x.finished_at limit 100) m;
end
$$;
comment on function punit.audit_due(double precision) is 'moves to this unit finished within a day that nobody has audited, by unit, oldest first; n: how many rows will be compared';

create function punit.audit_close(p_moves uuid[], p_holding json)
returns table (move_id uuid, user_id uuid, audit text, detail text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with x as materialized (
        select m.move_id, o.fork is distinct from h.fork or m.audit_ver is distinct from h.ver or h.n is null as overtaken,
               m.audit_n = h.n and m.audit_digest = h.digest as same, h.n, h.digest
          from punit.move m
          left join punit.own o on o.user_id = m.user_id
          left join json_to_recordset(p_holding) h (user_id uuid, fork uuid, ver bigint, n bigint, digest numeric)
            on h.user_id = m.user_id
         where m.move_id = any (p_moves)
         order by m.move_id for update of m
    )
    update punit.move m
       set audit = case when x.overtaken then 'overtaken' when x.same then 'same' else 'different' end,
           error = case when x.overtaken or x.same then m.error else
               format('at ver %s %s rows with sum %s here, %s rows with sum %s at %s', m.audit_ver, m.audit_n, m.audit_digest,
                      x.n, x.digest, m.from_unit) end
      from x
     where m.move_id = x.move_id
    returning m.move_id, m.user_id, m.audit, m.error;
end
$$;
comment on function punit.audit_close(uuid[], json) is
    'compares what the old owner has (the rows of its punit.holding) with what was noted here, and notes the outcome in the moves'' records; detail: of those that are different';

create function punit.holding(p_users uuid[])
returns table (user_id uuid, state text, epoch bigint, fork uuid, ver bigint, n bigint, digest numeric)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select o.user_id, o.state, o.epoch, o.fork, o.ver, d.n, d.digest
      from unnest(p_users) u
      join punit.own o on o.user_id = u and o.state <> 'ERASED' and o.fork is not null
      cross join lateral punit.user_digest(o.user_id, -1) d
     order by 1;
end
$$;
comment on function punit.holding(uuid[]) is
    'of these users, those of whom this unit has rows: which history and version, how many rows, their digest; from one snapshot, so two units at one (fork, ver) must agree at any time';

create function punit.held(p_after uuid, p_limit int) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select o.user_id from punit.own o
     where (p_after is null or o.user_id > p_after) and o.state <> 'ERASED' and o.fork is not null
     order by o.user_id limit p_limit
$$;
comment on function punit.held(uuid, int) is 'users of whom this unit has rows, a page of them, in order';

create function punit.weigh(p_user uuid, p_fork uuid, p_ver bigint)
returns table (mode text, n bigint, bytes bigint)
language plpgsql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o    punit.own;
    base bigint;
    t    text;
    k    bigint;
    b    bigint;
begin
    select * into o from punit.own x where x.user_id = p_user and x.state = 'OWNED';
    if not found then
        return;
    end if;
    mode := case when p_fork is distinct from o.fork or p_ver < o.gc_ver or p_ver > o.ver then 'full' else 'delta' end;
    base := case mode when 'full' then -1 else p_ver end;
    n := 0;
    bytes := 0;
    for t in select u.tab from punit.user_table u
             union all select 'punit.tomb' union all select 'punit.dedup' loop
        execute format('select count(*), coalesce(sum(octet_length(t::text)), 0) from %s t where t.user_id = $1 and t.ver > $2', t)
           into k, b using p_user, base;
        n := n + k;
        bytes := bytes + b;
    end loop;
    return next;
end
$$;
comment on function punit.weigh(uuid, uuid, bigint) is
    'what a move of a user owned here would send to a unit whose copy is at (p_fork, p_ver): mode, rows and about how many bytes; no row: not owned here';

revoke all on function punit.collect_tombs(double precision, int), punit.evict_copies(double precision, int),
    punit.audit_note(uuid), punit.audit_due(double precision), punit.audit_close(uuid[], json),
    punit.holding(uuid[]), punit.held(uuid, int), punit.weigh(uuid, uuid, bigint) from public;
grant execute on function punit.collect_tombs(double precision, int), punit.evict_copies(double precision, int),
    punit.audit_note(uuid), punit.audit_due(double precision), punit.audit_close(uuid[], json)
    to punit_mover;
grant execute on function punit.holding(uuid[]), punit.held(uuid, int), punit.weigh(uuid, uuid, bigint)
    to punit_mover, punit_peer;
