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

create or replace function punit.place_triggers(p_tab text, p_names text[], p_commands text[],
                                                p_known text) returns text
language plpgsql
as $$
declare
    digest text := md5(array_to_string(p_commands, ';'));
    place  text;
begin
    if digest = p_known and cardinality(p_names) = (
            select count(*) from pg_trigger t
             where t.tgrelid = p_tab::regclass and t.tgname = any (p_names))
    then
        return digest;
    end if;
    for place in select t.tgname from pg_trigger t
                  where t.tgrelid = p_tab::regclass and t.tgname like 'punit\_%' loop
        execute format('drop trigger %I on %s', place, p_tab);
    end loop;
    foreach place in array p_commands loop
        execute place;
    end loop;
    return digest;
end
$$;
comment on function punit.place_triggers(text, text[], text[], text) is
    'makes these triggers of a table and gives the digest of their commands. Does nothing, and'
    ' locks nothing, if p_known is that digest and the triggers are there';

create or replace function punit.place_guards(p_tab text) returns void
language plpgsql
as $$
declare
    u        punit.user_table;
    tomb_fn  text := 'punit.tomb_' || replace(p_tab, '.', '_');
    pk       text;
    keycols  text[];
    names    text[] := '{punit_key,punit_truncate,punit_tomb}';
    commands text[];
begin
    select * into strict u from punit.user_table where tab = p_tab;
    if u.guard = 'row' then
        names := names || 'punit_guard'::text;
        commands := array[format('create trigger punit_guard before insert or update on %s
                        for each row execute function punit.guard()', p_tab)];
    else
        names := names || '{punit_guard_insert,punit_guard_update}'::text[];
        commands := array[
            format('create trigger punit_guard_insert after insert on %s
                        referencing new table as changed
                        for each statement execute function punit.guard_statement()', p_tab),
            format('create trigger punit_guard_update after update on %s
                        referencing new table as changed
                        for each statement execute function punit.guard_statement()', p_tab)];
    end if;

    keycols := array_prepend('user_id', u.key);
    commands := commands || format('create trigger punit_key before update on %s for each row
                    when (row(%s) is distinct from row(%s)) execute function punit.guard_key()',
                   p_tab,
                   (select string_agg(format('old.%I', k), ', ') from unnest(keycols) k),
                   (select string_agg(format('new.%I', k), ', ') from unnest(keycols) k));
    commands := commands || format('create trigger punit_truncate before truncate on %s
                    for each statement execute function punit.guard_truncate()', p_tab);

    -- By row, not by statement: a statement trigger misses rows that a cascade deletes.
    select string_agg(format('old.%I', k), ', ' order by n) into pk
        from unnest(u.key) with ordinality x (k, n);
    execute format($f$
        create or replace function %s() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v bigint;
        begin
            select o.ver into v from punit.own o
            where o.user_id = old.user_id and o.bump_xid = pg_current_xact_id_if_assigned();
            if not found then
                raise exception 'unfenced deletion from %s' using errcode = 'PU500',
                    hint = 'bump punit.own in the same transaction first';
            end if;
            insert into punit.tomb (user_id, ver, tab, pk)
            values (old.user_id, v, %L, jsonb_build_array(%s))
            on conflict do nothing;
            return null;
        end
        $b$ $f$, tomb_fn, p_tab, p_tab, coalesce(pk, ''));
    execute format('comment on function %s() is %L', tomb_fn,
                   'leaves a tombstone for each row deleted from ' || p_tab);
    commands := commands || format('create trigger punit_tomb after delete on %s
                    for each row execute function %s()', p_tab, tomb_fn);
    update punit.user_table t
       set triggers_md5 = punit.place_triggers(p_tab, names, commands, u.triggers_md5)
     where t.tab = p_tab;
end
$$;
comment on function punit.place_guards(text) is
    'makes the guard triggers and the tombstones of a registered table';
