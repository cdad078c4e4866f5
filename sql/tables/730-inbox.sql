-- The inbox as a queue of its own. The rows of punit.outbox stay until their origin deletes them,
-- so a walk over these passes all that is done. The queue holds what is still to be done, in the
-- order in which it is done.

alter table punit.message_handler
    add column class smallint not null default 2 check (class between 1 and 3);
comment on column punit.message_handler.class is
    '1: ownership and security, before all others. 2: what somebody waits for. 3: what may wait;'
    ' class 2 gets two turns for each of class 3';
update punit.message_handler set class = 1
 where kind in ('erase', 'forget', 'auth-forget');

create table punit.inbox (
    class       smallint not null,
    origin_unit text not null,
    seq         bigint not null,
    came_at     timestamptz not null default now(),
    primary key (class, origin_unit, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000);
comment on table punit.inbox is
    'local: the messages for this unit that were not tried yet. A row whose message was taken back'
    ' stays until its turn';
comment on column punit.inbox.class is 'as of punit.message_handler, when the message came';
comment on column punit.inbox.came_at is 'by the clock of this unit';

create table punit.outbox_done (
    target_unit text not null,
    seq         bigint not null,
    primary key (target_unit, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table punit.outbox_done is
    'local: messages of this unit that their target has acknowledged, until they are deleted. A'
    ' deletion by a trigger of an apply worker would not travel';

alter table punit.inbox_late
    add column class smallint not null default 2,
    add column came_at timestamptz not null default now();
comment on column punit.inbox_late.class is 'as of punit.inbox';
comment on column punit.inbox_late.came_at is 'as of punit.inbox';
update punit.inbox_late l set class = h.class from punit.message_handler h where h.kind = l.kind;
create index inbox_late_due on punit.inbox_late (class, due_at) where given_up is null;

create index outbox_ack_age on punit.outbox_ack (target_unit, acked_at);
-- What replaces an older message of one user about another (punit.send_latest).
create index outbox_one on punit.outbox (user_id, kind, (users[1])) where cardinality(users) = 1;
