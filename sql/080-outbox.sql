-- Messages from unit to unit: erasure, follows, posts. The mesh carries the rows; a local worker of the target works
-- them off idempotently by (origin, seq) and acknowledges; the origin then deletes.

create table punit.outbox (
    origin_unit text not null,
    target_unit text not null,
    seq         bigint not null generated always as identity,
    kind        text not null check (kind ~ '^[a-z][a-z-]{0,31}$'),
    user_id     uuid,
    payload     jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    primary key (origin_unit, target_unit, seq)
);
comment on table punit.outbox is
    'what this unit tells another, kept until it is acknowledged; rows of other origins are this unit''s inbox';

create table punit.outbox_ack (
    origin_unit text not null,
    target_unit text not null,
    seq         bigint not null,
    error       text,
    acked_at    timestamptz not null default now(),
    primary key (origin_unit, target_unit, seq)
);
comment on table punit.outbox_ack is
    'written by the target once a message had its effect, or with the error why it never will; travels back';

create function punit.send(p_target text, p_kind text, p_user uuid, p_payload jsonb default '{}') returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, payload)
    values (punit.self(), p_target, p_kind, p_user, p_payload)
$$;
comment on function punit.send(text, text, uuid, jsonb) is 'a message for a unit, sent if this transaction commits';

revoke all on punit.outbox, punit.outbox_ack from public;
grant select on punit.outbox, punit.outbox_ack to punit_service, punit_mover;
