-- Audit: after a move, the copy at the old owner must equal the rows that the new owner activated.

create or replace function punit.audit_note(p_user uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    -- own and rows in one snapshot: the user may be writing here already
    update punit.move m set audit_ver = x.ver, audit_n = x.n, audit_digest = x.digest
      from (select o.ver, d.n,
            d.digest from punit.own o cross join lateral punit.user_digest(o.user_id, -1) d
             where o.user_id = p_user and o.state = 'OWNED') x
     where m.user_id = p_user and m.to_unit = punit.self() and m.phase = 'retire';
end
$$;
comment on function punit.audit_note(uuid) is
    'right after ACTIVATE: notes count and digest of all rows here, to be compared later with the'
    ' old owner''s. Not needed if all rows were just compared at this very ver';
grant execute on function punit.audit_note(uuid) to punit_mover;

create or replace function punit.audit_due(p_older_s double precision)
returns table (move_id uuid, user_id uuid, unit text, n bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    -- by unit, so that one that is away does not delay the others
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
comment on function punit.audit_due(double precision) is
    'moves to this unit that finished within a day and that no audit has covered, by unit, oldest'
    ' first; n: how many rows will be compared';
grant execute on function punit.audit_due(double precision) to punit_mover;

create or replace function punit.audit_close(p_moves uuid[], p_holding json)
returns table (move_id uuid, user_id uuid, audit text, detail text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with x as materialized (
        select m.move_id, o.fork is distinct from h.fork or m.audit_ver is distinct from h.ver
            or h.n is null as overtaken,
               m.audit_n = h.n and m.audit_digest = h.digest as same, h.n, h.digest
          from punit.move m
          left join punit.own o on o.user_id = m.user_id
          left join json_to_recordset(p_holding) h (user_id uuid, fork uuid, ver bigint, n bigint,
                                                    digest numeric)
            on h.user_id = m.user_id
         where m.move_id = any (p_moves)
         order by m.move_id for update of m
    )
    update punit.move m
       set audit = case when x.overtaken then 'overtaken' when x.same then 'same'
           else 'different' end,
           error = case when x.overtaken or x.same then m.error else
               format('at ver %s %s rows with sum %s here, %s rows with sum %s at %s', m.audit_ver,
                      m.audit_n, m.audit_digest,
                      x.n, x.digest, m.from_unit) end
      from x
     where m.move_id = x.move_id
    returning m.move_id, m.user_id, m.audit, m.error;
end
$$;
comment on function punit.audit_close(uuid[], json) is
    'compares the old owner''s rows of punit.holding with what was noted here and notes the result'
    ' in the moves; detail: of those that differ';
grant execute on function punit.audit_close(uuid[], json) to punit_mover;

create or replace function punit.holding(p_users uuid[])
returns table (user_id uuid, state text, epoch bigint, fork uuid, ver bigint, n bigint, digest
               numeric)
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
    'those of these users of whom this unit has rows: history, version, number of rows and digest,'
    ' from one snapshot. Two units at one (fork, ver) must agree at any time';
grant execute on function punit.holding(uuid[]) to punit_mover, punit_peer;

create or replace function punit.held(p_after uuid, p_limit int) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select o.user_id from punit.own o
     where (p_after is null or o.user_id > p_after) and o.state <> 'ERASED' and o.fork is not null
     order by o.user_id limit p_limit
$$;
comment on function punit.held(uuid, int) is
    'users of whom this unit has rows, a page of them, in order';
grant execute on function punit.held(uuid, int) to punit_mover, punit_peer;
