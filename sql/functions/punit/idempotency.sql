-- Requests with an Idempotency-Key.

create or replace function punit.dedup_find(p_user uuid, p_key text, p_route text, p_sha bytea)
returns table (status int, body text, problem text)
language plpgsql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select case when s.same then d.status else 422 end, case when s.same then d.body end,
           case when not s.same then 'key-reused' end
    from punit.dedup d cross join lateral (select d.body_sha256 = p_sha as same) s
    where d.user_id = p_user and d.request_id = p_key and d.route = p_route
      and d.created_at > now() - interval '24 hours';
end
$$;
comment on function punit.dedup_find(uuid, text, text, bytea) is
    'the answer that this key at this route had, or 422 key-reused if the body differs. Call it'
    ' after punit.bump, in a statement of its own';
grant execute on function punit.dedup_find(uuid, text, text, bytea) to punit_service;

create or replace function punit.dedup_store(p_user uuid, p_key text, p_route text, p_sha bytea,
                                             p_ver bigint, p_status int, p_body text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if p_key is null then
        return;
    end if;
    if not exists (select from punit.own o
                   where o.user_id = p_user and o.ver = p_ver
                     and o.bump_xid = pg_current_xact_id_if_assigned()) then
        raise exception 'unfenced write to punit.dedup' using errcode = 'PU500';
    end if;
    -- Only an answer older than 24 h can conflict.
    insert into punit.dedup (user_id, request_id, route, body_sha256, ver, status, body)
    values (p_user, p_key, p_route, p_sha, p_ver, p_status, p_body)
    on conflict (user_id, request_id, route) do update
        set body_sha256 = excluded.body_sha256, ver = excluded.ver, status = excluded.status,
            body = excluded.body, created_at = excluded.created_at;
end
$$;
comment on function punit.dedup_store(uuid, text, text, bytea, bigint, int, text) is
    'keeps the answer for this key; p_ver is what punit.bump gave in this transaction';
grant execute on function punit.dedup_store(uuid, text, text, bytea, bigint, int, text)
to punit_service;

create or replace function punit.begin_write(p_user uuid, p_key text, p_route text, p_sha bytea,
                                             out ver bigint, out epoch bigint, out status int,
                                             out body text, out problem text) returns setof record
language plpgsql volatile rows 1
as $$
begin
    select b.ver, b.epoch into ver, epoch from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    -- Asked after the bump: the same request may have been running at the same time.
    select d.status, d.body, d.problem into status, body, problem
      from punit.dedup_find(p_user, p_key, p_route, p_sha) d;
    return next;
end
$$;
comment on function punit.begin_write(uuid, text, text, bytea) is
    'begins a write that may be a repeat: the bump, then the answer already given (status null:'
    ' there'
    ' is none). No row: the user is not owned here, so write nothing';
grant execute on function punit.begin_write(uuid, text, text, bytea) to punit_service;
