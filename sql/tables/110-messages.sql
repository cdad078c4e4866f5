-- Messages from unit to unit: erasure, follows, posts. The mesh carries the rows. A worker of the
-- target handles each message once by (origin, seq) and acknowledges it; the origin then deletes
-- it.

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
    'replicated: messages of this unit to a unit, this one included, kept until they had their'
    ' effect; rows of other origins are the inbox of this unit';
comment on column punit.outbox.user_id is
    'the user whom the message is about: erasing the user makes the message void';
comment on column punit.outbox.users is
    'the users whom the message is for, each told at the unit that owns the user; null: the'
    ' message is for the unit';
comment on column punit.outbox.epochs is
    'for each of users, the epoch since when target_unit owned the user as the sender knew. A'
    ' message is passed on only to an owner of a higher epoch, so it never goes in a circle';
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
    'replicated: the target acknowledges a message that had its effect, or that failed for good';
comment on column punit.outbox_ack.error is 'why the message will never have its effect';

create table punit.message_handler (
    kind     text primary key,
    fn       text not null,
    outlives boolean not null default false
);
comment on table punit.message_handler is
    'the function that handles messages of a kind: (user uuid, ver bigint, about uuid, payload'
    ' jsonb) -> boolean. A message with users calls it for each user owned here, after the user''s'
    ' bump (ver). Another message calls it once with user null; true asks for another call later';
comment on column punit.message_handler.outlives is
    'the message is handled although the user whom it is about is erased';
insert into punit.message_handler (kind, fn, outlives)
values ('erase', 'punit.hear_erase', true), ('forget', 'punit.hear_forget', true);

create table punit.inbox_late (
    origin_unit text not null,
    seq         bigint not null,
    kind        text not null,
    user_id     uuid,
    tries       int not null,
    due_at      timestamptz not null,
    error       text,
    given_up    jsonb,
    primary key (origin_unit, seq)
);
comment on table punit.inbox_late is
    'local: messages that failed or must wait, until they had their effect';
comment on column punit.inbox_late.given_up is
    'the whole message, acknowledged with its error after 20 tries (about 6 h); kept for 30 days'
    ' for the operator';

grant select on punit.outbox, punit.outbox_ack to punit_service, punit_mover;
grant select on punit.message_handler, punit.inbox_late to punit_mover;
