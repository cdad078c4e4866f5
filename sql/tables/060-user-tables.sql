-- The registry of tables whose rows belong to users. A row in punit.user_table is all that a new
-- table needs: punit.complete_schema then adds guards, rights and the statements that move it.

create table punit.user_table (
    tab     text primary key,
    guard   text not null default 'row' check (guard in ('row', 'statement')),
    key     text[] not null default '{}',
    columns text[] not null default '{}',
    registered_at timestamptz not null default now(),
    triggers_md5  text
);
comment on table punit.user_table is 'tables whose rows move with their user';
comment on column punit.user_table.tab is 'schema.table';
comment on column punit.user_table.guard is
    'row: the guard stamps ver itself. statement: the writer stamps ver, and one check covers a'
    ' statement; for partitioned tables and bulk writes';
comment on column punit.user_table.key is 'primary key without user_id, which leads it';
comment on column punit.user_table.columns is
    'all columns that hold data; the new owner computes generated columns again';
comment on column punit.user_table.triggers_md5 is
    'digest of the statements that made its triggers: unchanged triggers are not made again';

create table punit.user_reference (
    tab     text not null references punit.user_table,
    col     text not null,
    ref_tab text not null,
    ref_col text not null,
    label   text not null generated always as (tab || '.' || col || ' -> ' || ref_tab) stored,
    primary key (tab, col)
);
comment on table punit.user_reference is
    'values in rows of users that the new owner''s reference table must have before the hand-over';

-- Each message about a user compares shapes. Asking the catalogue takes 0.2 ms, so the shape is
-- kept here and updated in the transaction of each command that may change it.
create table punit.shape (
    single boolean primary key default true check (single),
    lines  text not null,
    md5    text not null generated always as (md5(lines)) stored
);
comment on table punit.shape is
    'what moves: a line for each registered table with columns, types and key. Both units compare'
    ' it before any row is sent; partitions do not count';
insert into punit.shape (lines) values ('');

grant select on punit.user_table, punit.user_reference to punit_mover, punit_peer, punit_service;
