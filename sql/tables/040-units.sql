-- This unit, the units of the system, and the peers of this unit.

create table punit.me (
    single      boolean primary key default true check (single),
    id          text not null check (id ~ '^[a-z0-9-]{1,32}$'),
    incarnation uuid not null default gen_random_uuid(),
    left_at     timestamptz
);
comment on table punit.me is 'one row: which unit this database is';
comment on column punit.me.incarnation is 'changes after a restore or a promotion';
comment on column punit.me.left_at is
    'when this unit left the system (punit.take_leave); nothing begins here afterwards';

create table punit.unit (
    origin_unit text not null check (origin_unit ~ '^[a-z0-9-]{1,32}$'),
    id          text not null check (id ~ '^[a-z0-9-]{1,32}$'),
    incarnation uuid not null,
    http        text,
    joined_at   timestamptz not null default now(),
    retired_at  timestamptz,
    primary key (origin_unit, id)
);
comment on table punit.unit is
    'replicated: the units of the system; each unit writes its own row';
comment on column punit.unit.retired_at is
    'in the unit''s own row: the unit wrote nothing after this. In a row of another origin: that'
    ' unit has adopted what the unit wrote';
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
    'conninfo of the peer''s PostgreSQL; programs add user, certificate, key and authority';
comment on column punit.peer.listener is 'host:port of the peer''s NGINX for units';

-- In tables/, since defaults of origin_unit call it.
create function punit.self() returns text
language plpgsql stable parallel safe
as $$
begin
    return (select id from punit.me);
end
$$;
comment on function punit.self() is 'id of this unit';
grant execute on function punit.self() to punit_service, punit_mover, punit_gridd, punit_peer;

-- `set punit.id = 'eu'` names the unit as soon as its table exists.
with me as (
    insert into punit.me (id)
    select current_setting('punit.id', true) where current_setting('punit.id', true) <> ''
    returning id, incarnation)
insert into punit.unit (origin_unit, id, incarnation) select me.id, me.id, me.incarnation from me;

grant select on punit.me, punit.unit to punit_service, punit_mover, punit_gridd, punit_peer;
-- auth sends a claim to the arbiter of the name; a conninfo holds no secret
grant select on punit.peer to punit_mover, punit_gridd, punit_auth;
