-- What the mover remembers: its moves, how long users stay, who was seen here. And the statements that move a table.

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
    result       text check (result in ('moved', 'copied', 'aborted', 'refused', 'passed', 'failed', 'cancelled', 'erased')),
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
comment on table punit.move is 'moves of users to this unit (and requests passed on to the unit that is to take a user)';
comment on column punit.move.phase is
    'wanted: asked for, not begun. copy: a warm copy is kept. fence: FENCE may have been sent, must be repeated or refused. retire: owned here, the old owner is still to be told. refuse: refused here, the old owner is still to be told. pass: another unit is to be asked. done';
comment on column punit.move.asked is 'an operator asked: no waiting for quiet or dwell';
comment on column punit.move.paced is 'asked for by a drain: nobody waits for it, the mover rests after it';
comment on column punit.move.mode is 'full: some round sent all rows; delta: only what changed since the copy here';
comment on column punit.move.epoch is 'epoch of the old owner; this unit''s will be one more';
comment on column punit.move.base_ver is 'ver of the copy here when the move began';
comment on column punit.move.rows_sent is 'rows that came over the wire, tombstones and idempotency records included';
comment on column punit.move.fenced_at is 'when this unit had FENCE''s answer';
comment on column punit.move.touched_at is 'last step; a warm copy that nobody asked for within the window is done';
comment on column punit.move.cancelled is 'an operator cancelled it; in phase refuse the old owner is still to be told';
comment on column punit.move.rows_due is 'rows of the round that runs, known once a large user''s first line came';
comment on column punit.move.audit is
    'the whole copy here at ACTIVATE (audit_ver, audit_n, audit_digest) against the old owner''s: same; different: a bug, said loudly; overtaken: one of them had gone on, nothing to compare';
create unique index move_unfinished on punit.move (user_id, to_unit) where finished_at is null;
create index move_user on punit.move (user_id, started_at);
create index move_unaudited on punit.move (from_unit, finished_at) where result = 'moved' and audit is null;

create table punit.stay (
    user_id uuid primary key,
    since   timestamptz not null default clock_timestamp(),
    dwell_s double precision not null
);
comment on table punit.stay is
    'since when a user is owned here by a hand-over and how long he should stay; policy only, it decides nothing';

create unlogged table punit.local_seen (
    user_id uuid primary key,
    seen_at timestamptz not null
);
comment on table punit.local_seen is
    'users whom peers forward here and who were seen on this unit''s own public side: FENCE answers BUSY until they are quiet';

create unlogged table punit.hot (
    user_id uuid primary key,
    until   timestamptz not null,
    hold_ms int not null
);
comment on table punit.hot is
    'users owned here who write so much that FENCE was BUSY again and again: punit.brake slows their writes';

create function punit.move_plan()
returns table (tab text, digested boolean, copy_out text, stage text, staged text, stage_in text, direct_in text,
               remove text, enter text, bury text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with s as (
        select t.*, 'pg_temp.stage_' || replace(t.tab, '.', '_') as staged,
               (select string_agg(quote_ident(c), ', ' order by n) from unnest(t.columns) with ordinality x (c, n)) as cols,
               (select string_agg(format(' and t.%1$I = s.%1$I', k), '' order by n)
                  from unnest(t.key) with ordinality x (k, n)) as same,
               (select string_agg(format(' and t.%I = (s.pk ->> %s)::%s', k, n - 1, format_type(a.atttypid, a.atttypmod)), '' order by n)
                  from unnest(t.key) with ordinality x (k, n)
                  join pg_attribute a on a.attrelid = to_regclass(t.tab) and a.attname = k) as buried
        from punit.moved_tables() t
    )
    select s.tab, s.digested,
           format('copy (select %s from %s where user_id = current_setting(''punit.user'')::uuid'
                  ' and ver > current_setting(''punit.base'')::bigint) to stdout', s.cols, s.tab),
           format('create temporary table if not exists %s as select %s from %s with no data',
                  substr(s.staged, 9), s.cols, s.tab),
           s.staged, format('copy %s (%s) from stdin', s.staged, s.cols),
           format('copy %s (%s) from stdin', s.tab, s.cols),
           format('delete from %s t using %s s where t.user_id = s.user_id%s', s.tab, s.staged, coalesce(s.same, '')),
           format('insert into %s (%s) select %s from %s', s.tab, s.cols, s.cols, s.staged),
           case when s.digested then
               format('delete from %s t using pg_temp.stage_punit_tomb s where s.tab = %L and t.user_id = s.user_id%s',
                      s.tab, s.tab, coalesce(s.buried, ''))
           end
    from s order by s.rank, s.tab
$$;
comment on function punit.move_plan() is
    'the statements that read a table''s rows of one user at the old owner, stage them at the new one, and put them in: bury (delete what tombstones name), remove (delete the listed keys), enter. All from one list of columns, so both ends agree once punit.shape does';

create function punit.saw_local(p_users uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.local_seen (user_id, seen_at)
    select distinct u, clock_timestamp() from unnest(p_users) u order by 1
    on conflict (user_id) do update set seen_at = excluded.seen_at;
end
$$;
comment on function punit.saw_local(uuid[]) is 'these users were served here on the public side just now';

revoke all on punit.move, punit.stay, punit.local_seen, punit.hot from public;
grant select, insert, update on punit.move to punit_mover;
grant select on punit.stay, punit.local_seen to punit_mover;
grant execute on function punit.move_plan(), punit.saw_local(uuid[]) to punit_mover;
