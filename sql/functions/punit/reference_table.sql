-- Reference tables: which unit may change a row, and how a change raises the generation.

create or replace function punit.raise_generation(p_service text, p_origin text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.generation as g (service, origin_unit) values (p_service, p_origin)
    on conflict (service, origin_unit) do update set gen = g.gen + 1;
    perform pg_notify('punit_generation', p_service);
exception
    -- The transaction was rolled back through no fault of its own. An apply worker repeats it, and
    -- then it counts.
    when transaction_rollback then
        raise;
    when others then
        if current_setting('session_replication_role') <> 'replica' then
            raise;
        end if;
        -- An error here would stop the subscription for good.
        raise warning 'generation of % for % not raised: %', p_service, p_origin, sqlerrm;
end
$$;
comment on function punit.raise_generation(text, text) is
    'raises the generation of a service for an origin, in the transaction that changes its'
    ' reference rows';
grant execute on function punit.raise_generation(text, text) to punit_mesh, punit_service;

-- It runs for each row, since an apply worker fires no statement triggers, and raises once for each
-- transaction. Once for each row would be quadratic: each raise leaves a dead version that the next
-- one visits. A setting of the transaction notes what was raised; a savepoint that is rolled back
-- takes both back.
create or replace function punit.generation_row() returns trigger
language plpgsql
as $$
declare
    setting text := 'punit.raised_' || tg_table_schema;
    raised  text := pg_catalog.current_setting(setting, true);
    origin  text;
begin
    if tg_op = 'DELETE' then
        origin := old.origin_unit;
    else
        origin := new.origin_unit;
    end if;
    if raised is null or pg_catalog.strpos(raised, ',' || origin || ',') = 0 then
        perform punit.raise_generation(tg_table_schema, origin);
        perform pg_catalog.set_config(setting, pg_catalog.concat(raised, ',', origin, ','), true);
    end if;
    return null;
end
$$;
comment on function punit.generation_row() is
    'raises the generation of the table''s service, once for each transaction and origin; for'
    ' replicated rows too';
grant execute on function punit.generation_row() to punit_service;

-- A local session may change rows of this unit only. Replicated rows were checked at their origin:
-- this trigger does not fire in an apply worker.
create or replace function punit.guard_origin() returns trigger
language plpgsql
as $$
declare
    me     punit.me;
    origin text;
begin
    select * into me from punit.me;
    if tg_op = 'INSERT' then
        origin := new.origin_unit;
    else
        origin := old.origin_unit;
        if tg_op = 'UPDATE' and new.origin_unit <> old.origin_unit then
            raise exception 'the origin of a row of %.% cannot change', tg_table_schema,
                tg_table_name
                using errcode = 'PU500';
        end if;
    end if;
    if origin <> me.id then
        raise exception 'a row of unit % is changed there', origin using errcode = 'PU421',
            detail = origin;
    end if;
    if me.left_at is not null then
        perform punit.stay_or_refuse();
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
comment on function punit.guard_origin() is
    'refuses to change a row of another unit: PU421, detail: that unit';
grant execute on function punit.guard_origin() to punit_service;

create or replace function punit.enter_reference_table(p_tab text) returns void
language plpgsql
as $$
<<f>>
declare
    rel regclass := to_regclass(p_tab);
    sch text;
    tab text;
    uid smallint;
    bad text;
begin
    if rel is null then
        raise exception 'register_reference_table: no table %', p_tab using errcode = '42P01';
    end if;
    select n.nspname, n.nspname || '.' || c.relname into sch, tab
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = rel
          and c.relkind = 'r';
    if tab is null or tab <> rel::text and rel::text <> split_part(tab, '.', 2) then
        raise exception 'register_reference_table: % is not an ordinary table with a plain'
                        ' lower-case name', p_tab
            using errcode = '42809';
    end if;
    select attnum into uid from pg_attribute
     where attrelid = rel and attname = 'origin_unit' and atttypid = 'text'::regtype and attnotnull;
    if uid is null then
        raise exception 'register_reference_table: % needs a column origin_unit text not null', tab
            using errcode = '42703';
    end if;
    if not exists (select from pg_index i where i.indrelid = rel and i.indisprimary) then
        raise exception 'register_reference_table: % has no primary key',
            tab using errcode = '42P16';
    end if;
    -- Rows of two units must never conflict: the apply worker would stop.
    select string_agg(i.indexrelid::regclass::text, ', ') into bad
      from pg_index i
     where i.indrelid = rel and (i.indisunique or i.indisexclusion)
         and not uid = any (i.indkey::smallint[]);
    if bad is not null then
        raise exception 'register_reference_table: unique key % of % leaves out origin_unit', bad,
            tab
            using errcode = '42P16';
    end if;

    insert into punit.reference_table (tab, service) values (tab, sch)
    on conflict on constraint reference_table_pkey do nothing;
    update punit.reference_table t
       set triggers_md5 = punit.place_triggers(
               t.tab, '{punit_origin,punit_generation,punit_wall}', array[
               format('create trigger punit_origin before insert or update or delete on %s
                       for each row execute function punit.guard_origin()', t.tab),
               format('create trigger punit_generation after insert or update or delete on %s
                       for each row execute function punit.generation_row()', t.tab),
               format('alter table %s enable always trigger punit_generation', t.tab),
               format('create trigger punit_wall before insert or update or delete on %s
                       for each row execute function punit.wall_origin()', t.tab),
               format('alter table %s enable replica trigger punit_wall', t.tab)],
               t.triggers_md5)
     where t.tab = f.tab;
    perform punit.admit_mesh(rel);
end
$$;
comment on function punit.enter_reference_table(text) is
    'checks a reference table and gives it its triggers';

create or replace function punit.register_reference_table(p_tab text) returns void
language sql
as $$ select punit.enter_reference_table(p_tab) $$;
comment on function punit.register_reference_table(text) is
    'makes a table one whose rows go to every unit: only rows of this unit can change here, and a'
    ' change raises the generation of the service (the schema). Each unique key needs origin_unit'
    ' text not null';

create or replace function punit.generation_of(p_service text) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((select hashtextextended(m.incarnation::text, 0) & 4611686018427387903
                     from punit.me m), 0)
           + coalesce((select sum(g.gen)::bigint from punit.generation g
                       where g.service = p_service), 0);
end
$$;
comment on function punit.generation_of(text) is
    'generation of a service''s reference data in this snapshot: the sum over all origins plus a'
    ' base from the unit''s incarnation. So a database restored from a backup repeats no'
    ' generation';
grant execute on function punit.generation_of(text) to punit_gridd, punit_service;

create or replace function punit.generations() returns table (service text, gen bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select s.service, punit.generation_of(s.service)
      from (select distinct r.service from punit.reference_table r) s;
end
$$;
comment on function punit.generations() is
    'generations of all services with reference data; gridd writes them to the grid';
grant execute on function punit.generations() to punit_gridd;
