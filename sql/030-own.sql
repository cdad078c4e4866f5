-- Who owns a user, and the fence that every write of a user passes. See doc/PROTOCOL.md.

create table punit.own (
    user_id       uuid primary key,
    state         text not null check (state in ('COPY', 'OWNED', 'FENCED', 'ERASED')),
    epoch         bigint not null default 0 check (epoch >= 0),
    ver           bigint not null default -1 check (ver >= -1),
    bump_xid      xid8,
    owner_hint    text,
    fence_to      text,
    fence_epoch   bigint,
    refused_epoch bigint not null default 0,
    fork          uuid,
    gc_ver        bigint not null default 0,
    copied_from   text,
    touched_at    timestamptz not null default now(),
    check ((state = 'FENCED') = (fence_to is not null)),
    check ((fence_to is null) = (fence_epoch is null)),
    check (state not in ('OWNED', 'FENCED') or (fork is not null and epoch > 0 and ver >= 0))
) with (fillfactor = 70);

comment on table punit.own is
    'one row for each user seen here; no row means COPY at ver -1. A row, once there, never vanishes: a late answer would otherwise revive an erased user or make a second owner';
comment on column punit.own.state is 'COPY: never writable. OWNED. FENCED: handed over, the new owner has not confirmed. ERASED: final';
comment on column punit.own.epoch is '+1 a hand-over; rises only by this unit''s own ACTIVATE, RETIRE or unfence';
comment on column punit.own.ver is '+1 per writing transaction of the user; travels with him';
comment on column punit.own.bump_xid is 'the transaction that bumped last: the guard lets only its rows in';
comment on column punit.own.owner_hint is 'COPY: whom the user went to (epoch: this row''s epoch), or whom the copy came from';
comment on column punit.own.fence_to is 'FENCED: the unit he is handed to, with fence_epoch';
comment on column punit.own.refused_epoch is 'this unit promised never to activate an epoch up to this one';
comment on column punit.own.fork is '(fork, ver) names a prefix of one linear history';
comment on column punit.own.gc_ver is 'tombstones up to this ver were collected: a copy older than it needs all rows';
comment on column punit.own.touched_at is 'last change of state or of the copy; the sweeper''s and the eviction''s clock, it decides nothing';

-- the sweeper looks for users that hang between two units; the bump changes no indexed column and stays HOT
create index own_fenced on punit.own (touched_at) where state = 'FENCED';

create function punit.bump(p_user uuid) returns table (ver bigint, epoch bigint)
language plpgsql volatile rows 1
as $$
begin
    return query
        update punit.own o set ver = o.ver + 1, bump_xid = pg_catalog.pg_current_xact_id()
        where o.user_id = p_user and o.state = 'OWNED'
        returning o.ver, o.epoch;
end
$$;
comment on function punit.bump(uuid) is
    'the fence in functions: call it first, in a statement of its own. No row: the user is not owned here, write nothing. It waits for the user''s running writers and makes FENCE wait for this transaction';

revoke all on punit.own from public;
grant select on punit.own to punit_service, punit_mover;
grant update (ver, bump_xid, touched_at) on punit.own to punit_service;
grant execute on function punit.bump(uuid) to punit_service;
