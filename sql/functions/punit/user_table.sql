-- Registration of tables whose rows belong to users.

create or replace function punit.enter_user_table(p_tab text, p_guard text) returns void
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
        raise exception 'register_user_table: % is not a table of its own',
            tab using errcode = '42809';
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
        raise exception 'register_user_table: % needs a column user_id uuid not null',
            tab using errcode = '42703';
    end if;
    if not exists (select from pg_attribute where attrelid = rel and attname = 'ver'
                      and atttypid = 'bigint'::regtype and attnotnull and attgenerated = '') then
        raise exception 'register_user_table: % needs a column ver bigint not null',
            tab using errcode = '42703';
    end if;
    select string_agg(a.attname, ', ') into bad
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = rel and a.attnum > 0 and not a.attisdropped
       and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) ilike '%nextval(%');
    if bad is not null then
        raise exception 'register_user_table: % draws % from a sequence, which does not move; use'
                        ' a uuid', tab, bad
            using errcode = '42P16';
    end if;

    -- a stale copy of one user must never block another user's row
    select string_agg(i.indexrelid::regclass::text, ', ') into bad
      from pg_index i
     where i.indrelid = rel and (i.indisunique or i.indisexclusion) and i.indkey[0] is distinct
         from uid;
    if bad is not null then
        raise exception 'register_user_table: unique key % of % is not led by user_id', bad, tab
            using errcode = '42P16';
    end if;
    select i.indkey::smallint[] into pk from pg_index i where i.indrelid = rel and i.indisprimary;
    if pk is null then
        raise exception 'register_user_table: % has no primary key', tab using errcode = '42P16';
    end if;
    select coalesce(array_agg(a.attname::text order by k.n) filter (where a.attnum <> uid), '{}')
        into keys
      from unnest(pk) with ordinality k (attnum, n)
      join pg_attribute a on a.attrelid = rel and a.attnum = k.attnum;
    if 'ver' = any (keys) then
        raise exception 'register_user_table: ver of % cannot be part of its key',
            tab using errcode = '42P16';
    end if;

    -- Foreign keys are not checked when rows arrive, so both ends must belong to the same user.
    select string_agg(f.conname, ', ') into bad
      from pg_constraint f
     where f.conrelid = rel and f.contype = 'f' and f.conparentid = 0
       and not (f.confrelid in (select to_regclass(u.tab) from punit.user_table u
                                union all select rel union all select 'punit.own'::regclass)
                and exists (select from unnest(f.conkey, f.confkey) k (here, there)
                             join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.there
                            where k.here = uid and a.attname = 'user_id'));
    if bad is not null then
        raise exception 'register_user_table: foreign key % of % does not stay within one user''s'
                        ' registered tables', bad, tab
            using errcode = '42830',
                  hint = 'register the other table first; for reference data use'
                         ' punit.register_reference';
    end if;
    select string_agg(f.conname, ', ') into bad
      from pg_constraint f
     where f.conrelid = rel and f.contype = 'f' and mode = 'statement'
       and (f.confdeltype in ('n', 'd') or f.confupdtype <> 'a');
    if bad is not null then
        raise exception 'register_user_table: foreign key % changes rows of %, whose statement'
                        ' guard cannot stamp them', bad, tab
            using errcode = '0A000';
    end if;

    select array_agg(attname::text order by attname) into cols from pg_attribute
     where attrelid = rel and attnum > 0 and not attisdropped and attgenerated = '';

    insert into punit.user_table (tab, guard, key, columns) values (tab, mode, keys, cols)
    on conflict on constraint user_table_pkey do update
        set guard = excluded.guard, key = excluded.key, columns = excluded.columns;
    perform punit.place_guards(tab);

    execute format('grant usage on schema %I to punit_mover, punit_peer', split_part(tab, '.', 1));
    execute format('grant select on %s to punit_mover, punit_peer', tab);
    execute format('grant insert, delete on %s to punit_mover', tab);
end
$$;
comment on function punit.enter_user_table(text, text) is
    'checks a table whose rows belong to users, and gives it its guards and rights. Refuses keys'
    ' not'
    ' led by user_id';

create or replace function punit.register_user_table(p_tab text, p_guard text default null)
returns void
language plpgsql
as $$
begin
    perform punit.enter_user_table(p_tab, p_guard);
    perform punit.weave();
    perform punit.note_shape();
end
$$;
comment on function punit.register_user_table(text, text) is
    'makes a table one whose rows belong to users; call it again after altering the table.'
    ' p_guard: row (the default) or statement (the default of partitioned tables)';

create or replace function punit.register_reference(p_tab text, p_col text, p_ref_tab text,
                                                    p_ref_col text) returns void
language plpgsql
as $$
begin
    if not exists (select from pg_attribute where attrelid = to_regclass(p_tab) and attname = p_col
                   and attnum > 0) then
        raise exception 'register_reference: no column % in %', p_col,
            p_tab using errcode = '42703';
    end if;
    if not exists (select from pg_attribute where attrelid = to_regclass(p_ref_tab)
                   and attname = p_ref_col and attnum > 0) then
        raise exception 'register_reference: no column % in %', p_ref_col,
            p_ref_tab using errcode = '42703';
    end if;
    insert into punit.user_reference (tab, col, ref_tab, ref_col)
    values (p_tab, p_col, p_ref_tab, p_ref_col)
    on conflict (tab, col) do update set ref_tab = excluded.ref_tab, ref_col = excluded.ref_col;
    perform punit.weave();
end
$$;
comment on function punit.register_reference(text, text, text, text) is
    'values of a registered table''s column must exist in the reference table of the new owner'
    ' before the hand-over';

create or replace function punit.moved_tables()
returns table (rank int, tab text, key text[], columns text[], digested boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 0, 'punit.tomb', array['ver', 'tab', 'pk'], array['buried_at', 'pk', 'tab', 'user_id',
        'ver'], false
    union all select 1, u.tab, u.key, u.columns, true from punit.user_table u
    union all select 2, 'punit.dedup', array['request_id', 'route'],
           array['body', 'body_sha256', 'created_at', 'request_id', 'route', 'status', 'user_id',
               'ver'], false
$$;
comment on function punit.moved_tables() is
    'all tables whose rows move with their user, in the order in which they are inserted:'
    ' tombstones, registered tables, dedup. punit.user_digest covers those that are digested';

create or replace function punit.check_registrations() returns void
language plpgsql stable
as $$
declare
    bad text;
begin
    select string_agg(x.what, ', ' order by x.what) into bad
      from (select format('column %s of %s', c.col, c.tab)
              from punit.user_reference r
              cross join lateral (values (r.tab, r.col), (r.ref_tab, r.ref_col)) c (tab, col)
             where not exists (select from pg_attribute a
                                where a.attrelid = to_regclass(c.tab) and a.attname = c.col
                                  and a.attnum > 0 and not a.attisdropped)
            union all
            select 'function ' || f.fn
              from (select e.fn || '(uuid)' from punit.exporter e
                    union all select g.fn || '(uuid)' from punit.forgetter g
                    union all select h.fn || '(uuid, bigint, uuid, jsonb)'
                                from punit.message_handler h) f (fn)
             where to_regprocedure(f.fn) is null) x (what);
    if bad is not null then
        raise exception 'registered, but not there: %', bad using errcode = '42704';
    end if;
    if punit.not_exported() <> '{}' then
        raise exception 'no row of punit.exporter covers %', punit.not_exported()
            using errcode = '42704';
    end if;
end
$$;
comment on function punit.check_registrations() is
    'fails unless the columns and functions that are registered by name exist, and an export'
    ' covers every table of users'' rows';

create or replace function punit.complete_schema() returns void
language plpgsql
as $$
begin
    perform punit.check_registrations();
    perform punit.enter_user_table(t.tab, t.guard) from punit.user_table t order by t.tab;
    perform punit.enter_reference_table(t.tab) from punit.reference_table t order by t.tab;
    perform punit.admit_mesh(m.tab) from punit.mesh_plan(punit.self(), '-') m;
    -- the subscriptions of a release that applied the rows of peers as superuser
    perform punit.own_subscription(p.id) from punit.peer p;
    perform punit.months_ahead();
    perform punit.close_public();
    perform punit.weave();
    perform punit.note_shape();
    -- the first peer makes the publications, with the right to read them
    if exists (select from punit.peer) then
        perform punit.make_peer_roles(p.id) from punit.peer p order by p.id;
        perform punit.publish();
    end if;
end
$$;
comment on function punit.complete_schema() is
    'brings up to date what is made from the registrations: guards, rights, the owners of'
    ' subscriptions, months, the functions of punit.weave, the shape and the'
    ' publications. punitctl schema calls it after each change';
