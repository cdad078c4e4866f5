-- The owner of a user, and the fence that every write of a user passes. See doc/PROTOCOL.md.

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
    'one row for each user seen here; no row means COPY at ver -1. A row is never deleted:'
    ' otherwise a late answer could revive an erased user or make a second owner';
comment on column punit.own.state is
    'COPY: never writable. OWNED: writable here. FENCED: handed over, and the new owner has not'
    ' confirmed yet. ERASED: final';
comment on column punit.own.epoch is
    'rises by one with each hand-over; only this unit''s ACTIVATE, RETIRE or unfence raises it';
comment on column punit.own.ver is
    'rises by one with each writing transaction of the user, and moves with the user';
comment on column punit.own.bump_xid is
    'the transaction that raised ver last; the guard admits rows of that transaction only';
comment on column punit.own.owner_hint is
    'COPY: the unit that the user went to (since epoch), or the unit that the copy came from';
comment on column punit.own.fence_to is 'FENCED: the unit that takes the user at fence_epoch';
comment on column punit.own.refused_epoch is
    'this unit promised never to activate an epoch up to this one';
comment on column punit.own.fork is '(fork, ver) names a prefix of one linear history';
comment on column punit.own.gc_ver is
    'tombstones up to this ver were collected: a copy at a lower ver needs all rows';
comment on column punit.own.touched_at is
    'last change of state or of the copy; the clock of sweep and eviction. Nothing else uses it';

-- The sweep looks for users that hang between two units. A bump changes no indexed column, so it
-- stays HOT; for the same reason no index contains ver.
create index own_fenced on punit.own (touched_at) where state = 'FENCED';
create index own_copy on punit.own (touched_at) where state = 'COPY' and fork is not null;
create index own_erased on punit.own (touched_at) where state = 'ERASED';

grant select on punit.own to punit_service, punit_mover;
grant update (ver, bump_xid, touched_at) on punit.own to punit_service;
