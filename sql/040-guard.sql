-- What stands on every table of users' rows: the guard that refuses unfenced writes and stamps ver, and the
-- tombstones that let a deletion travel. punit.register_user_table puts them there.

create table punit.tomb (
    user_id uuid not null,
    ver     bigint not null,
    tab     text not null,
    pk      jsonb not null,
    buried_at timestamptz not null default now(),
    primary key (user_id, ver, tab, pk)
);
comment on table punit.tomb is 'deleted keys, so that a copy at an older ver can follow; collected after 30 days (own.gc_ver)';
comment on column punit.tomb.tab is 'schema.table, as in punit.user_table';
comment on column punit.tomb.pk is 'array of the key''s values without user_id, in the order of user_table.key';

-- Qualified names and no SET clause: it runs for each row, as whoever writes (all of them may read punit.own).
create function punit.guard() returns trigger
language plpgsql
as $$
begin
    select o.ver into new.ver from punit.own o
    where o.user_id = new.user_id and o.bump_xid = pg_catalog.pg_current_xact_id_if_assigned();
    if not found then
        raise exception 'unfenced write to %.%', tg_table_schema, tg_table_name
            using errcode = 'PU500', hint = 'bump punit.own in the same transaction first';
    end if;
    return new;
end
$$;
comment on function punit.guard() is
    'row guard: stamps ver, lets only the transaction write that bumped the user (its ON DELETE SET NULL too)';

create function punit.guard_statement() returns trigger
language plpgsql
as $$
begin
    if exists (
        select from (select distinct c.user_id, c.ver from changed c) w
        where not exists (
            select from punit.own o
            where o.user_id = w.user_id and o.ver = w.ver
              and o.bump_xid = pg_catalog.pg_current_xact_id_if_assigned()))
    then
        raise exception 'unfenced write to %.%', tg_table_schema, tg_table_name
            using errcode = 'PU500', hint = 'bump punit.own in the same transaction and write its ver';
    end if;
    return null;
end
$$;
comment on function punit.guard_statement() is
    'statement guard of partitioned and bulk tables: every row written must carry the ver of this transaction''s bump';

create function punit.guard_key() returns trigger
language plpgsql
as $$
begin
    raise exception 'the key of %.% cannot change', tg_table_schema, tg_table_name
        using errcode = 'PU500', hint = 'delete the row and insert another';
end
$$;
comment on function punit.guard_key() is 'a changed key would leave the old one behind in copies';

create function punit.guard_truncate() returns trigger
language plpgsql
as $$
begin
    raise exception '%.% holds users'' rows and cannot be truncated', tg_table_schema, tg_table_name
        using errcode = 'PU500', hint = 'delete by user';
end
$$;
comment on function punit.guard_truncate() is 'a truncated table would leave no tombstones';

revoke all on punit.tomb from public;
grant select on punit.tomb to punit_mover, punit_peer;
grant insert, delete on punit.tomb to punit_mover;
