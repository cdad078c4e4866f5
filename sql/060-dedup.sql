-- Answers to requests with an Idempotency-Key. They belong to the user and move with him.

create table punit.dedup (
    user_id     uuid not null,
    request_id  text not null check (length(request_id) between 1 and 255),
    route       text not null,
    body_sha256 bytea not null check (length(body_sha256) = 32),
    ver         bigint not null,
    status      int not null,
    body        text,
    created_at  timestamptz not null default now(),
    primary key (user_id, request_id, route)
);
comment on table punit.dedup is
    'answers given to requests that carried an Idempotency-Key, valid for 24 h, written in the transaction of the effect';

create index dedup_created on punit.dedup (created_at);

create function punit.dedup_find(p_user uuid, p_key text, p_route text, p_sha bytea)
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
    'the answer already given to this key at this route, or 422 key-reused: its body was another. Ask after punit.bump, in a statement of its own';

create function punit.dedup_store(p_user uuid, p_key text, p_route text, p_sha bytea, p_ver bigint,
                                  p_status int, p_body text)
returns void
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
    -- only an answer past its 24 h can be in the way
    insert into punit.dedup (user_id, request_id, route, body_sha256, ver, status, body)
    values (p_user, p_key, p_route, p_sha, p_ver, p_status, p_body)
    on conflict (user_id, request_id, route) do update
        set body_sha256 = excluded.body_sha256, ver = excluded.ver, status = excluded.status,
            body = excluded.body, created_at = excluded.created_at;
end
$$;
comment on function punit.dedup_store(uuid, text, text, bytea, bigint, int, text) is
    'keeps the answer for this key; p_ver as punit.bump gave it in this transaction';

revoke all on punit.dedup from public;
grant select on punit.dedup to punit_mover, punit_peer;
grant insert, delete on punit.dedup to punit_mover;
grant execute on function punit.dedup_find(uuid, text, text, bytea),
    punit.dedup_store(uuid, text, text, bytea, bigint, int, text) to punit_service;
