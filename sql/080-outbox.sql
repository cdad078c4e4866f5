-- Messages from unit to unit: erasure, follows, posts. The mesh carries the rows; a local worker of the target works
-- them off idempotently by (origin, seq) and acknowledges; the origin then deletes (145-inbox.sql).

create table punit.outbox (
    origin_unit text not null,
    target_unit text not null,
    seq         bigint not null generated always as identity,
    kind        text not null check (kind ~ '^[a-z][a-z-]{0,31}$'),
    user_id     uuid,
    users       uuid[],
    epochs      bigint[],
    payload     jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    primary key (origin_unit, target_unit, seq),
    check (cardinality(users) is not distinct from cardinality(epochs))
);
comment on table punit.outbox is
    'what this unit tells another, or itself, kept until it has had its effect; rows of other origins are this unit''s inbox';
comment on column punit.outbox.user_id is 'whom it is about: once he is erased it is void';
comment on column punit.outbox.users is
    'whom it is for, each to be told where he is owned; null: it is for the unit';
comment on column punit.outbox.epochs is
    'for each of users, the epoch since when the sender believed target_unit to own him. It is passed on only to an owner of a higher epoch, so it never goes round in a circle';
create index outbox_about on punit.outbox (user_id);

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

-- ENABLE ALWAYS: messages that the mesh brings are announced too. It must not raise, or the subscription stops.
create function punit.announce_message() returns trigger
language plpgsql
as $$
begin
    if new.target_unit = punit.self() then
        perform pg_catalog.pg_notify('punit_inbox', '');
    end if;
    return null;
exception when others then
    raise warning 'message % of % not announced: %', new.seq, new.origin_unit, sqlerrm;
    return null;
end
$$;
comment on function punit.announce_message() is 'NOTIFY punit_inbox: there is something to work off here';

create trigger announce after insert on punit.outbox
    for each row execute function punit.announce_message();
alter table punit.outbox enable always trigger announce;

create function punit.send(p_target text, p_kind text, p_user uuid, p_payload jsonb default '{}') returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, payload)
    values (punit.self(), p_target, p_kind, p_user, p_payload);
end
$$;
comment on function punit.send(text, text, uuid, jsonb) is 'a message for a unit, sent if this transaction commits';

create function punit.send_to(p_kind text, p_about uuid, p_users uuid[], p_payload jsonb default '{}') returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- 500 a message: all of them are locked while it is worked off
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
    select punit.self(), m.unit, p_kind, p_about, array_agg(m.user_id order by m.user_id),
           array_agg(m.epoch order by m.user_id), p_payload
      from (select u.id as user_id, w.epoch, t.unit,
                   (row_number() over (partition by t.unit order by u.id) - 1) / 500 as part
              from (select distinct unnest(p_users) as id) u
              cross join lateral punit.owner_of(u.id) w
              -- whose owner is not known yet waits here until he is
              cross join lateral (select case when exists (select from punit.peer p where p.id = w.unit)
                                              then w.unit else punit.self() end as unit) t
             where w.state <> 'ERASED') m
     group by m.unit, m.part;
end
$$;
comment on function punit.send_to(text, uuid, uuid[], jsonb) is
    'a message about a user for users, one row for each unit (and 500 users) where they live, this unit included; sent if this transaction commits';

revoke all on punit.outbox, punit.outbox_ack from public;
grant select on punit.outbox, punit.outbox_ack to punit_service, punit_mover;
