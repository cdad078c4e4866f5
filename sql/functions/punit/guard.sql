-- The triggers of tables whose rows belong to users.

-- Qualified names and no SET clause: it runs for each row, with the rights of the writer, who may
-- read punit.own.
create or replace function punit.guard() returns trigger
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
    'row guard: stamps ver, and admits only the transaction that bumped the user (its ON DELETE'
    ' SET NULL too)';

create or replace function punit.guard_statement() returns trigger
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
            using errcode = 'PU500',
                hint = 'bump punit.own in the same transaction and write its ver';
    end if;
    return null;
end
$$;
comment on function punit.guard_statement() is
    'statement guard of partitioned and bulk tables: every row written must carry the ver of this'
    ' transaction''s bump';

create or replace function punit.guard_key() returns trigger
language plpgsql
as $$
begin
    raise exception 'the key of %.% cannot change', tg_table_schema, tg_table_name
        using errcode = 'PU500', hint = 'delete the row and insert another';
end
$$;
comment on function punit.guard_key() is
    'refuses to change a key: copies would keep the row of the old key';

create or replace function punit.guard_truncate() returns trigger
language plpgsql
as $$
begin
    raise exception '%.% holds users'' rows and cannot be truncated', tg_table_schema, tg_table_name
        using errcode = 'PU500', hint = 'delete by user';
end
$$;
comment on function punit.guard_truncate() is 'refuses TRUNCATE, which leaves no tombstones';
