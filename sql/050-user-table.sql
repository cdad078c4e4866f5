-- The registry of tables whose rows belong to users. Registering is all a new table needs: guard, tombstones,
-- the right to be moved, and the statements that move it.

create table punit.user_table (
    tab     text primary key,
    guard   text not null check (guard in ('row', 'statement')),
    key     text[] not null,
    columns text[] not null,
    registered_at timestamptz not null default now()
);
comment on table punit.user_table is 'tables whose rows move with their user';
comment on column punit.user_table.tab is 'schema.table';
comment on column punit.user_table.key is 'primary key without user_id, which leads it';
comment on column punit.user_table.columns is 'all columns that hold data (generated ones are computed again at the new owner)';

create table punit.user_reference (
    tab     text not null references punit.user_table,
    col     text not null,
    ref_tab text not null,
    ref_col text not null,
    label   text not null generated always as (tab || '.' || col || ' -> ' || ref_tab) stored,
    primary key (tab, col)
);
comment on table punit.user_reference is
    'values of users'' rows that must exist in a reference table of the new owner before the hand-over';

create function punit.register_user_table(p_tab text, p_guard text default null) returns void
language plpgsql
as $$
declare
    rel   regclass := to_regclass(p_tab);
    kind  "char";
    tab   text;
    ident text;
    uid   smallint;
    pk    smallint[];
    keys  text[];
    cols  text[];
    bad   text;
    mode  text;
begin
    if rel is null then
        raise exception 'register_user_table: no table %', p_tab using errcode = '42P01';
    end if;
    select c.relkind, n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname)
      into kind, tab, ident
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = rel;
    if kind not in ('r', 'p') or exists (select from pg_inherits where inhrelid = rel) then
        raise exception 'register_user_table: % is not a table of its own', tab using errcode = '42809';
    end if;
    if tab <> ident then
        raise exception 'register_user_table: % needs quoting; use a plain lower-case name', ident
            using errcode = '42602';
    end if;
    mode := coalesce(p_guard, case kind when 'p' then 'statement' else 'row' end);
    if kind = 'p' and mode <> 'statement' then
        raise exception 'register_user_table: % is partitioned and needs the statement guard', tab
            using errcode = '0A000';
    end if;

    select attnum into uid from pg_attribute
     where attrelid = rel and attname = 'user_id' and atttypid = 'uuid'::regtype and attnotnull;
    if uid is null then
        raise exception 'register_user_table: % needs a column user_id uuid not null', tab using errcode = '42703';
    end if;
    if not exists (select from pg_attribute where attrelid = rel and attname = 'ver'
                      and atttypid = 'bigint'::regtype and attnotnull and attgenerated = '') then
        raise exception 'register_user_table: % needs a column ver bigint not null', tab using errcode = '42703';
    end if;
    select string_agg(a.attname, ', ') into bad
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = rel and a.attnum > 0 and not a.attisdropped
       and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) ilike '%nextval(%');
    if bad is not null then
        raise exception 'register_user_table: % draws % from a sequence, which does not move; use a uuid', tab, bad
            using errcode = '42P16';
    end if;

    -- a stale copy of one user must never block another user's row
    select string_agg(i.indexrelid::regclass::text, ', ') into bad
      from pg_index i
     where i.indrelid = rel and (i.indisunique or i.indisexclusion) and i.indkey[0] is distinct from uid;
    if bad is not null then
        raise exception 'register_user_table: unique key % of % is not led by user_id', bad, tab
            using errcode = '42P16';
    end if;
    select i.indkey::smallint[] into pk from pg_index i where i.indrelid = rel and i.indisprimary;
    if pk is null then
        raise exception 'register_user_table: % has no primary key', tab using errcode = '42P16';
    end if;
    select coalesce(array_agg(a.attname::text order by k.n) filter (where a.attnum <> uid), '{}') into keys
      from unnest(pk) with ordinality k (attnum, n)
      join pg_attribute a on a.attrelid = rel and a.attnum = k.attnum;
    if 'ver' = any (keys) then
        raise exception 'register_user_table: ver of % cannot be part of its key', tab using errcode = '42P16';
    end if;

    -- rows arrive without foreign keys being checked, so both ends must belong to the same user
    select string_agg(f.conname, ', ') into bad
      from pg_constraint f
     where f.conrelid = rel and f.contype = 'f' and f.conparentid = 0
       and not (f.confrelid in (select to_regclass(u.tab) from punit.user_table u
                                union all select rel union all select 'punit.own'::regclass)
                and exists (select from unnest(f.conkey, f.confkey) k (here, there)
                             join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.there
                            where k.here = uid and a.attname = 'user_id'));
    if bad is not null then
        raise exception 'register_user_table: foreign key % of % does not stay within one user''s registered tables', bad, tab
            using errcode = '42830',
                  hint = 'register the other table first; for reference data use punit.register_reference';
    end if;
    select string_agg(f.conname, ', ') into bad
      from pg_constraint f
     where f.conrelid = rel and f.contype = 'f' and mode = 'statement'
       and (f.confdeltype in ('n', 'd') or f.confupdtype <> 'a');
    if bad is not null then
        raise exception 'register_user_table: foreign key % changes rows of %, whose statement guard cannot stamp them', bad, tab
            using errcode = '0A000';
    end if;

    select array_agg(attname::text order by attname) into cols from pg_attribute
     where attrelid = rel and attnum > 0 and not attisdropped and attgenerated = '';

    insert into punit.user_table (tab, guard, key, columns) values (tab, mode, keys, cols)
    on conflict on constraint user_table_pkey do update
        set guard = excluded.guard, key = excluded.key, columns = excluded.columns;
    perform punit.place_guards(tab);
    perform punit.weave();
    perform punit.note_shape();

    execute format('grant usage on schema %I to punit_mover, punit_peer', split_part(tab, '.', 1));
    execute format('grant select on %s to punit_mover, punit_peer', tab);
    execute format('grant insert, delete on %s to punit_mover', tab);
end
$$;
comment on function punit.register_user_table(text, text) is
    'makes a table one whose rows belong to users: call it again after altering the table. p_guard: row (default; stamps ver itself) or statement (default of partitioned tables; cheaper for bulk, the writer gives the fence''s ver). Refuses keys not led by user_id';

create function punit.place_guards(p_tab text) returns void
language plpgsql
as $$
declare
    u       punit.user_table;
    tomb_fn text := 'punit.tomb_' || replace(p_tab, '.', '_');
    pk      text;
    g       text;
    keycols text[];
begin
    select * into strict u from punit.user_table where tab = p_tab;
    foreach g in array array['punit_guard', 'punit_guard_insert', 'punit_guard_update', 'punit_key',
                             'punit_tomb', 'punit_truncate'] loop
        if exists (select from pg_trigger where tgrelid = p_tab::regclass and tgname = g) then
            execute format('drop trigger %I on %s', g, p_tab);
        end if;
    end loop;

    if u.guard = 'row' then
        execute format('create trigger punit_guard before insert or update on %s
                        for each row execute function punit.guard()', p_tab);
    else
        execute format('create trigger punit_guard_insert after insert on %s referencing new table as changed
                        for each statement execute function punit.guard_statement()', p_tab);
        execute format('create trigger punit_guard_update after update on %s referencing new table as changed
                        for each statement execute function punit.guard_statement()', p_tab);
    end if;

    keycols := array_prepend('user_id', u.key);
    execute format('create trigger punit_key before update on %s for each row
                    when (row(%s) is distinct from row(%s)) execute function punit.guard_key()', p_tab,
                   (select string_agg(format('old.%I', k), ', ') from unnest(keycols) k),
                   (select string_agg(format('new.%I', k), ', ') from unnest(keycols) k));
    execute format('create trigger punit_truncate before truncate on %s
                    for each statement execute function punit.guard_truncate()', p_tab);

    -- by row, not by statement: a statement trigger misses what a cascade deletes
    select string_agg(format('old.%I', k), ', ' order by n) into pk from unnest(u.key) with ordinality x (k, n);
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
    execute format('comment on function %s() is %L', tomb_fn, 'leaves a tombstone for each row deleted from ' || p_tab);
    execute format('create trigger punit_tomb after delete on %s for each row execute function %s()', p_tab, tomb_fn);
end
$$;
comment on function punit.place_guards(text) is 'puts guard, key guard, truncate guard and tombstones on a registered table';

create function punit.register_reference(p_tab text, p_col text, p_ref_tab text, p_ref_col text) returns void
language plpgsql
as $$
begin
    if not exists (select from pg_attribute where attrelid = to_regclass(p_tab) and attname = p_col and attnum > 0) then
        raise exception 'register_reference: no column % in %', p_col, p_tab using errcode = '42703';
    end if;
    if not exists (select from pg_attribute where attrelid = to_regclass(p_ref_tab) and attname = p_ref_col and attnum > 0) then
        raise exception 'register_reference: no column % in %', p_ref_col, p_ref_tab using errcode = '42703';
    end if;
    insert into punit.user_reference (tab, col, ref_tab, ref_col)
    values (p_tab, p_col, p_ref_tab, p_ref_col)
    on conflict (tab, col) do update set ref_tab = excluded.ref_tab, ref_col = excluded.ref_col;
    perform punit.weave();
end
$$;
comment on function punit.register_reference(text, text, text, text) is
    'values of a registered table''s column must exist in the reference table at the new owner before the hand-over';

create function punit.moved_tables()
returns table (rank int, tab text, key text[], columns text[], digested boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 0, 'punit.tomb', array['ver', 'tab', 'pk'], array['buried_at', 'pk', 'tab', 'user_id', 'ver'], false
    union all select 1, u.tab, u.key, u.columns, true from punit.user_table u
    union all select 2, 'punit.dedup', array['request_id', 'route'],
           array['body', 'body_sha256', 'created_at', 'request_id', 'route', 'status', 'user_id', 'ver'], false
$$;
comment on function punit.moved_tables() is
    'all tables whose rows move with their user, in the order in which they are put in: tombstones, registered ones, dedup. What punit.user_digest counts is digested';
revoke all on function punit.moved_tables() from public;

-- One row expected, whatever it holds: the planner then goes from these lines to the table by its key, not the other way.
create function punit.lines(p_lines jsonb) returns setof jsonb
language internal immutable strict rows 1 as 'jsonb_array_elements';
comment on function punit.lines(jsonb) is 'the lines of a table in what punit.user_delta gives';

create function punit.row_hash(p_tab text, p_key text[]) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select format('hashtextextended(concat_ws(%L, %s, t.ver), %s)', '/',
                  coalesce(string_agg(format('t.%I', k), ', ' order by n), 'null'), hashtext(p_tab))
      from unnest(p_key) with ordinality x (k, n)
$$;
comment on function punit.row_hash(text, text[]) is 'the expression that hashes (table, key, ver) of a row t; digests are sums of it';

create function punit.missing_value(p_ref punit.user_reference) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select format('(select min(d.v::text) from (select distinct t.%1$I from %2$s t where t.user_id = p_user and t.ver > p_base'
                  ' and t.%1$I is not null) d (v) where not exists (select from %3$s r where r.%4$I = d.v))',
                  p_ref.col, p_ref.tab, p_ref.ref_tab, p_ref.ref_col)
$$;
comment on function punit.missing_value(punit.user_reference) is
    'the expression that finds one value of a reference which a row of p_user with ver > p_base has and the reference table has not';
revoke all on function punit.row_hash(text, text[]), punit.missing_value(punit.user_reference) from public;

-- A user's rows are counted, hashed, read, put in, checked and cleared by functions made anew whenever a table joins: static
-- SQL keeps its plans in the mover's kept connections, where dynamic SQL would be planned again for each user.
create function punit.weave() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    digest  text;
    above   text;
    clear   text;
    manifest text;
    missing text;
    delta   text;
    bury    text;
    enter   text;
    taken   text;
begin
    select string_agg(format('select count(*), sum(%s) from %s t where t.user_id = p_user and t.ver > p_base',
                             punit.row_hash(u.tab, u.key), u.tab),
               E'\n        union all ' order by u.tab),
           string_agg(format(
               'select count(*) from (select from %s t where t.user_id = p_user and t.ver > p_base limit p_limit) x', u.tab),
               E'\n        union all ' order by u.tab),
           string_agg(format('delete from %s t where t.user_id = p_user;', u.tab), E'\n        ' order by u.tab),
           string_agg(format(
               'if p_lines ? %L then select user_taken.n + x.n, user_taken.digest + x.h into n, digest'
               ' from (select count(*), coalesce(sum(%s), 0) from %s t where t.user_id = p_user and t.ver > p_base) x (n, h);'
               '%s end if;', u.tab, punit.row_hash(u.tab, u.key), u.tab,
               (select string_agg(format(' missing := coalesce(missing, %L || %s || '' is not here'');',
                                         r.label || ': ', punit.missing_value(r)), '' order by r.col)
                  from punit.user_reference r where r.tab = u.tab)),
               E'\n        ' order by u.tab)
      into digest, above, clear, taken
      from punit.user_table u;
    with r as (
        select x.tab, string_agg(format('%1$L, coalesce(to_jsonb(array_agg(distinct t.%2$I) filter (where t.ver > p_base'
                                        ' and t.%2$I is not null)), ''[]'')', x.label, x.col),
                                 ', ' order by x.col) as needs
          from punit.user_reference x
         group by x.tab
    )
    select string_agg(format('select count(*), sum(%s), %s from %s t where t.user_id = p_user', punit.row_hash(u.tab, u.key),
                             coalesce('jsonb_build_object(' || r.needs || ')', 'null::jsonb'), u.tab),
                      E'\n        union all ' order by u.tab)
      into manifest
      from punit.user_table u left join r using (tab);
    select string_agg(format('if not coalesce(p_needs ? %1$L, false) then return %1$L || '' is not looked at where the rows come from'';'
                             ' end if; v := (select min(l #>> ''{}'') from punit.lines(p_needs -> %1$L) l where not exists'
                             ' (select from %2$s r where r.%3$I = (l #>> ''{}'')::%4$s)); if v is not null then'
                             ' return format(''%%s: %%s is not here'', %1$L, v); end if;',
                             r.label, r.ref_tab, r.ref_col, format_type(a.atttypid, a.atttypmod)),
                      E'\n        ' order by r.tab, r.col)
      into missing
      from punit.user_reference r
      join pg_attribute a on a.attrelid = to_regclass(r.ref_tab) and a.attname = r.ref_col;
    with m as (
        select x.*,
               -- of the table here; null: it is made by a later file, and then this is called again
               (select array_agg(format_type(a.atttypid, a.atttypmod) order by c.n)
                  from unnest(x.columns) with ordinality c (name, n)
                  join pg_attribute a on a.attrelid = to_regclass(x.tab) and a.attname = c.name) as types
          from punit.moved_tables() x
    ), k as (
        -- how a key's column is found in a line, and in a tombstone's pk
        select m.tab, string_agg(format(' and t.%I = (l ->> %s)::%s', c.name, array_position(m.columns, c.name) - 1,
                                        m.types[array_position(m.columns, c.name)]), '' order by c.n) as same,
               string_agg(format(' and t.%I = ((l ->> 1)::jsonb ->> %s)::%s', c.name, c.n - 1,
                                 m.types[array_position(m.columns, c.name)]), '' order by c.n) as buried
          from m cross join unnest(m.key) with ordinality c (name, n)
         group by m.tab
    )
    select string_agg(format(
               'select %L, count(*), %s, json_agg(json_build_array(%s)) from %s t where t.user_id = p_user and t.ver > p_base',
               m.tab,
               case when m.digested then format('sum(%s)', punit.row_hash(m.tab, m.key)) else 'null' end,
               (select string_agg(format('t.%I::text', c), ', ' order by n) from unnest(m.columns) with ordinality x (c, n)), m.tab),
               E'\n        union all ' order by m.rank, m.tab),
           string_agg(format(
               'if %L = any (v_buried) then delete from %s t using punit.lines(p_lines -> ''punit.tomb'') l where l ->> 2 = %L'
               ' and t.user_id = p_user%s; end if;', m.tab, m.tab, m.tab, coalesce(k.buried, '')),
               E'\n        ' order by m.rank, m.tab) filter (where m.digested),
           string_agg(format(
               'if p_lines ? %L then delete from %s t using punit.lines(p_lines -> %L) l where t.user_id = p_user%s;'
               ' insert into %s (%s) select %s from punit.lines(p_lines -> %L) l; end if;', m.tab, m.tab, m.tab,
               coalesce(k.same, ''), m.tab,
               (select string_agg(quote_ident(c), ', ' order by n) from unnest(m.columns) with ordinality x (c, n)),
               (select string_agg(format('(l ->> %s)::%s', n - 1, m.types[n]), ', ' order by n)
                  from unnest(m.columns) with ordinality x (c, n)), m.tab),
               E'\n        ' order by m.rank, m.tab)
      into delta, bury, enter
      from m left join k using (tab)
     where m.types is not null;

    execute format($f$
        create or replace function punit.user_digest(p_user uuid, p_base bigint, out n bigint, out digest numeric)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            select coalesce(sum(x.n), 0), coalesce(sum(x.h), 0) into n, digest from (
            %s
            ) x (n, h);
        end
        $b$ $f$, coalesce(digest, 'select 0, 0::numeric'));
    execute format($f$
        create or replace function punit.user_rows(p_user uuid, p_base bigint, p_limit bigint) returns bigint
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            return (select sum(x.n) from (
            %s
            ) x (n));
        end
        $b$ $f$, coalesce(above, 'select 0'));
    execute format($f$
        create or replace function punit.user_delta(p_user uuid, p_base bigint, out n bigint, out digest numeric,
                                                    out sent bigint, out tombs bigint, out lines json)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            select coalesce(sum(x.n) filter (where x.tab not in ('punit.tomb', 'punit.dedup')), 0), coalesce(sum(x.h), 0),
                   coalesce(sum(x.n), 0), coalesce(sum(x.n) filter (where x.tab = 'punit.tomb'), 0),
                   json_object_agg(x.tab, x.l) filter (where x.n > 0)
              into n, digest, sent, tombs, lines from (
            %s
            ) x (tab, n, h, l);
        end
        $b$ $f$, coalesce(delta, 'select null::text, 0, null::numeric, null::json where false'));
    execute format($f$
        create or replace function punit.user_take(p_user uuid, p_lines jsonb) returns void
        language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v_buried text[] := array(select distinct l ->> 2 from punit.lines(p_lines -> 'punit.tomb') l);
        begin
            %s
            %s
        end
        $b$ $f$, coalesce(bury, ''), coalesce(enter, ''));
    execute format($f$
        create or replace function punit.user_taken(p_user uuid, p_base bigint, p_lines jsonb, out n bigint, out digest numeric,
                                                    out missing text)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            n := 0;
            digest := 0;
            %s
        end
        $b$ $f$, coalesce(taken, ''));
    execute format($f$
        create or replace function punit.user_clear(p_user uuid) returns void
        language plpgsql volatile security definer
        set search_path = pg_catalog, pg_temp set session_replication_role = replica
        as $b$
        begin
            %s
            delete from punit.tomb t where t.user_id = p_user;
            delete from punit.dedup t where t.user_id = p_user;
        end
        $b$ $f$, coalesce(clear, ''));
    execute format($f$
        create or replace function punit.user_manifest(p_user uuid, p_base bigint, out n bigint, out digest numeric,
                                                       out needs jsonb)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v_needs jsonb[];
        begin
            select coalesce(sum(x.n), 0), coalesce(sum(x.h), 0), array_agg(x.r) filter (where x.r is not null)
              into n, digest, v_needs from (
            %s
            ) x (n, h, r);
            needs := coalesce((select jsonb_object_agg(e.key, e.value) from unnest(v_needs) r cross join jsonb_each(r) e), '{}');
        end
        $b$ $f$, coalesce(manifest, 'select 0, 0::numeric, null::jsonb'));
    execute format($f$
        create or replace function punit.missing(p_needs jsonb) returns text
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v text;
        begin
            %s
            return null;
        end
        $b$ $f$, coalesce(missing, ''));

    comment on function punit.user_digest(uuid, bigint) is
        'number of a user''s rows with ver > p_base and the sum of the hashes of (table, key, ver); additive. Made by punit.weave';
    comment on function punit.user_rows(uuid, bigint, bigint) is
        'number of a user''s rows with ver > p_base, counting at most p_limit a table. Made by punit.weave';
    comment on function punit.user_delta(uuid, bigint) is
        'punit.user_digest, and the rows themselves: for each table that has any, lines of its columns as text, in the order of punit.moved_tables; sent: how many, tombs: of these tombstones. Made by punit.weave';
    comment on function punit.user_take(uuid, jsonb) is
        'puts in what punit.user_delta gave: deletes the keys that tombstones name, then the keys listed, and inserts. Made by punit.weave';
    comment on function punit.user_taken(uuid, bigint, jsonb) is
        'after punit.user_take of lines to a copy at p_base: punit.user_digest of the tables that they are of, and one value of a reference that is not here, as punit.missing finds it. Made by punit.weave';
    comment on function punit.user_clear(uuid) is
        'removes all rows of a user without tombstones: of a copy that is replaced, or of an erased user. Made by punit.weave';
    comment on function punit.user_manifest(uuid, bigint) is
        'what a copy must have: punit.user_digest of all of a user''s rows, and for each registered reference ("table.column -> reference table") the values that those with ver > p_base have. Made by punit.weave';
    comment on function punit.missing(jsonb) is
        'of what punit.user_manifest says elsewhere that rows need, a value whose row is not here; null when all are. Made by punit.weave';
    revoke all on function punit.user_clear(uuid), punit.user_take(uuid, jsonb), punit.user_taken(uuid, bigint, jsonb),
        punit.user_delta(uuid, bigint), punit.user_manifest(uuid, bigint), punit.missing(jsonb) from public;
    grant execute on function punit.user_digest(uuid, bigint) to punit_mover;
end
$$;
comment on function punit.weave() is 'makes the functions that go through all of a user''s rows; called by the registrations';

select punit.weave();

-- Each message about a user compares shapes, and the catalogue takes 0.2 ms to ask: it is asked when a command may have
-- changed it, in that command's transaction.
create table punit.shape (
    single boolean primary key default true check (single),
    lines  text not null,
    md5    text not null generated always as (md5(lines)) stored
);
comment on table punit.shape is
    'what moves: a line for each registered table with columns, types and key. Compared before any row is sent; partitions do not count';
insert into punit.shape (lines) values ('');

create function punit.note_shape() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    update punit.shape s set lines = x.lines
      from (select coalesce(string_agg(format('%s(%s; %s)', u.tab, a.cols,
                                              array_to_string(array_prepend('user_id', u.key), ', ')),
                                       E'\n' order by u.tab), '') as lines
              from punit.user_table u
              cross join lateral (
                  select string_agg(format('%s %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                           case when a.attnotnull then ' not null' else '' end), ', ' order by a.attname) cols
                    from pg_attribute a
                   where a.attrelid = to_regclass(u.tab) and a.attnum > 0 and not a.attisdropped
                     and a.attgenerated = '') a) x
     where x.lines <> s.lines
$$;
comment on function punit.note_shape() is 'brings punit.shape up to date with the catalogue and the registrations';

create function punit.shape_changes() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.note_shape();
end
$$;
comment on function punit.shape_changes() is 'keeps punit.shape in step with what is done to tables';

create event trigger punit_shape on ddl_command_end
    when tag in ('CREATE TABLE', 'ALTER TABLE', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'DROP TABLE', 'DROP TYPE',
                 'DROP DOMAIN', 'DROP SCHEMA', 'DROP EXTENSION', 'DROP OWNED')
    execute function punit.shape_changes();
alter event trigger punit_shape enable always;
comment on event trigger punit_shape is 'keeps punit.shape in step with what is done to tables';

create function punit.shape() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select s.lines from punit.shape s $$;
comment on function punit.shape() is 'the lines of punit.shape';

create function punit.shape_md5() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return (select s.md5 from punit.shape s);
end
$$;
comment on function punit.shape_md5() is 'what messages carry of it';

revoke all on punit.user_table, punit.user_reference, punit.shape from public;
revoke all on function punit.note_shape() from public;
grant select on punit.user_table, punit.user_reference to punit_mover, punit_peer, punit_service;
grant execute on function punit.shape(), punit.shape_md5() to punit_mover, punit_peer;
