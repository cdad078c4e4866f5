-- What the mover remembers: its moves, how long users stay, and which users were seen here.

create table punit.move (
    move_id      uuid primary key default gen_random_uuid(),
    user_id      uuid not null,
    from_unit    text not null,
    to_unit      text not null,
    phase        text not null default 'copy'
                 check (phase in ('wanted', 'copy', 'fence', 'retire', 'refuse', 'pass', 'done')),
    asked        boolean not null default false,
    paced        boolean not null default false,
    mode         text check (mode in ('full', 'delta')),
    epoch        bigint,
    base_ver     bigint,
    final_ver    bigint,
    rounds       int not null default 0,
    rows_sent    bigint not null default 0,
    bytes        bigint not null default 0,
    tombs        bigint not null default 0,
    busy         int not null default 0,
    started_at   timestamptz not null default clock_timestamp(),
    fenced_at    timestamptz,
    activated_at timestamptz,
    retired_at   timestamptz,
    finished_at  timestamptz,
    touched_at   timestamptz not null default clock_timestamp(),
    result       text check (result in ('moved', 'copied', 'aborted', 'refused', 'passed', 'failed',
                                        'cancelled', 'erased')),
    error        text,
    cancelled    boolean not null default false,
    rows_due     bigint,
    audit        text check (audit in ('same', 'different', 'overtaken')),
    audit_ver    bigint,
    audit_n      bigint,
    audit_digest numeric,
    check ((phase = 'done') = (finished_at is not null)),
    check ((finished_at is null) = (result is null))
);
comment on table punit.move is
    'moves of users to this unit, and requests passed on to the unit that is to take a user';
comment on column punit.move.phase is
    'wanted: asked for, not begun. copy: a warm copy is kept. fence: FENCE may have been sent and'
    ' must be repeated or refused. retire: owned here, the old owner must still be told. refuse:'
    ' refused here, the old owner must still be told. pass: another unit is to be asked. done';
comment on column punit.move.asked is 'an operator asked: the move waits for no quiet or dwell';
comment on column punit.move.paced is
    'a drain asked: the move is background work, and the mover rests after it';
comment on column punit.move.mode is
    'full: some round sent all rows. delta: only rows that changed since the copy here';
comment on column punit.move.epoch is 'epoch of the old owner; this unit''s will be one more';
comment on column punit.move.base_ver is 'ver of the copy here when the move began';
comment on column punit.move.rows_sent is
    'rows that came over the wire, tombstones and idempotency records included';
comment on column punit.move.fenced_at is 'when this unit had the answer to FENCE';
comment on column punit.move.touched_at is
    'last step; a warm copy ends when nobody asks for the user within the window';
comment on column punit.move.cancelled is
    'an operator cancelled it; in phase refuse the old owner must still be told';
comment on column punit.move.rows_due is
    'rows of the round that runs, known once the first line of a large user came';
comment on column punit.move.audit is
    'the whole copy here at ACTIVATE (audit_ver, audit_n, audit_digest) against the old owner''s.'
    ' same; different: a bug, logged as an error; overtaken: one of them has changed since, so'
    ' there is nothing to compare';
create unique index move_unfinished on punit.move (user_id, to_unit) where finished_at is null;
create index move_user on punit.move (user_id, started_at);
create index move_unaudited on punit.move (from_unit, finished_at)
    where result = 'moved' and audit is null;

create table punit.stay (
    user_id uuid primary key,
    since   timestamptz not null default clock_timestamp(),
    dwell_s double precision not null
);
comment on table punit.stay is
    'since when this unit owns a user by a hand-over, and how long the user should stay; a policy'
    ' only, on which no ownership depends';

create unlogged table punit.local_seen (
    user_id uuid primary key,
    seen_at timestamptz not null
);
comment on table punit.local_seen is
    'users whom peers forward here and who were seen on this unit''s own public side: FENCE answers'
    ' BUSY until they are quiet';

create unlogged table punit.hot (
    user_id uuid primary key,
    until   timestamptz not null,
    hold_ms int not null
);
comment on table punit.hot is
    'users owned here who write so much that FENCE was BUSY again and again: punit.brake slows'
    ' their writes';

grant select, insert, update on punit.move to punit_mover;
grant select on punit.stay, punit.local_seen to punit_mover;
