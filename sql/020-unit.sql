-- This unit, the units of the system, the peers this unit talks to.

create table punit.me (
    single      boolean primary key default true check (single),
    id          text not null check (id ~ '^[a-z0-9-]{1,32}$'),
    incarnation uuid not null default gen_random_uuid(),
    left_at     timestamptz
);
comment on table punit.me is
    'the one row that says which unit this database is; a new incarnation after a restore or a promotion';
comment on column punit.me.left_at is
    'since when this unit is no part of the system any more (punit.take_leave): nothing begins here, for good';

create table punit.unit (
    origin_unit text not null check (origin_unit ~ '^[a-z0-9-]{1,32}$'),
    id          text not null check (id ~ '^[a-z0-9-]{1,32}$'),
    incarnation uuid not null,
    http        text,
    joined_at   timestamptz not null default now(),
    retired_at  timestamptz,
    primary key (origin_unit, id)
);
comment on table punit.unit is 'the units of the system: each writes its own row, the mesh brings the others';
comment on column punit.unit.retired_at is
    'in its own row: all it ever wrote came before this. In the row of another: that unit adopted what it wrote';
comment on column punit.unit.incarnation is 'messages from or to another incarnation are void';
comment on column punit.unit.http is 'base URL of the unit''s public side';

create table punit.peer (
    id       text primary key check (id ~ '^[a-z0-9-]{1,32}$'),
    pg       text not null,
    listener text,
    state    text not null default 'up' check (state in ('up', 'down', 'leaving'))
);
comment on table punit.peer is 'local: how this unit reaches its peers';
comment on column punit.peer.pg is
    'conninfo of the peer''s PostgreSQL; the mover adds user, certificate, key and authority where they are missing';
comment on column punit.peer.listener is 'host:port of the peer''s NGINX for units';

create function punit.self() returns text
language plpgsql stable parallel safe
as $$
begin
    return (select id from punit.me);
end
$$;
comment on function punit.self() is 'id of this unit';

create function punit.caller() returns text
language sql stable parallel safe
as $$ select substring(session_user from '^punit_peer_([a-z0-9-]{1,32})$') $$;
comment on function punit.caller() is 'id of the unit whose session this is; null in a session of this unit''s own';

create function punit.incarnation_of(p_unit text) returns uuid
language plpgsql stable
as $$
begin
    return (select u.incarnation from punit.unit u
    where u.id = p_unit and u.retired_at is null
    order by u.origin_unit = u.id desc limit 1);
end
$$;
comment on function punit.incarnation_of(text) is
    'incarnation of a unit as far as this unit knows; its own word before that of whoever adopted its rows';

create function punit.announce() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.unit (origin_unit, id, incarnation, retired_at)
    values (new.id, new.id, new.incarnation, new.left_at)
    on conflict (origin_unit, id) do update set incarnation = excluded.incarnation, retired_at = excluded.retired_at;
    return null;
end
$$;
comment on function punit.announce() is 'keeps this unit''s row of punit.unit in step with punit.me';

create trigger announce after insert or update on punit.me
    for each row execute function punit.announce();

-- `set punit.id = 'eu'` before this file is applied names the unit at once
insert into punit.me (id)
select current_setting('punit.id', true) where current_setting('punit.id', true) <> '';

create function punit.stay_or_refuse() returns void
language plpgsql stable
as $$
begin
    if exists (select from punit.me m where m.left_at is not null) then
        raise exception 'this unit has left the system' using errcode = 'PU503';
    end if;
end
$$;
comment on function punit.stay_or_refuse() is 'PU503 where nothing may begin any more';

revoke all on punit.me, punit.unit, punit.peer from public;
grant select on punit.me, punit.unit to punit_service, punit_mover, punit_gridd, punit_peer;
grant select on punit.peer to punit_mover, punit_gridd;
grant execute on function punit.self(), punit.caller(), punit.incarnation_of(text), punit.stay_or_refuse()
    to punit_service, punit_mover, punit_gridd, punit_peer;
