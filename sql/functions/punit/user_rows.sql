-- The functions that count, hash, read, insert, check and delete all rows of a user. punit.weave
-- makes them from the registrations.

-- One row expected, whatever it holds: the planner then goes from these lines to the table by its
-- key, not the other way.
create or replace function punit.lines(p_lines jsonb) returns setof jsonb
language internal immutable strict rows 1 as 'jsonb_array_elements';
comment on function punit.lines(jsonb) is 'the lines of a table in the result of punit.user_delta';

create or replace function punit.row_hash(p_tab text, p_key text[]) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select format('hashtextextended(concat_ws(%L, %s, t.ver), %s)', '/',
                  coalesce(string_agg(format('t.%I', k), ', ' order by n), 'null'), hashtext(p_tab))
      from unnest(p_key) with ordinality x (k, n)
$$;
comment on function punit.row_hash(text, text[]) is
    'the expression that hashes (table, key, ver) of a row t; a digest is the sum over the rows';

create or replace function punit.missing_value(p_ref punit.user_reference) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select format('(select min(d.v::text) from (select distinct t.%1$I from %2$s t where t.user_id'
                  ' = p_user and t.ver > p_base'
                  ' and t.%1$I is not null) d (v) where not exists (select from %3$s r where'
                  ' r.%4$I = d.v))',
                  p_ref.col, p_ref.tab, p_ref.ref_tab, p_ref.ref_col)
$$;
comment on function punit.missing_value(punit.user_reference) is
    'the expression that finds one value of a reference that a row of p_user with ver > p_base has'
    ' and the reference table lacks';

-- Functions that are made anew whenever a table joins count, hash, read, insert, check and delete
-- the rows of a user. Static SQL keeps its plans in the mover's kept connections; PostgreSQL would
-- plan dynamic SQL again for each user.
create or replace function punit.weave() returns void
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
    select string_agg(format('select count(*), sum(%s) from %s t where t.user_id = p_user and'
                             ' t.ver > p_base',
                             punit.row_hash(u.tab, u.key), u.tab),
               E'\n        union all ' order by u.tab),
           string_agg(format(
               'select count(*) from (select from %s t where t.user_id = p_user and t.ver > p_base'
               ' limit p_limit) x', u.tab),
               E'\n        union all ' order by u.tab),
           string_agg(format('delete from %s t where t.user_id = p_user;', u.tab),
                      E'\n        ' order by u.tab),
           string_agg(format(
               'if p_lines ? %L then select user_taken.n + x.n, user_taken.digest + x.h into n,'
               ' digest'
               ' from (select count(*), coalesce(sum(%s), 0) from %s t where t.user_id = p_user'
               ' and t.ver > p_base) x (n, h);'
               '%s end if;', u.tab, punit.row_hash(u.tab, u.key), u.tab,
               (select string_agg(format(' missing := coalesce(missing, %L || %s || '' is not'
                                         ' here'');',
                                         r.label || ': ', punit.missing_value(r)),
                                             '' order by r.col)
                  from punit.user_reference r where r.tab = u.tab)),
               E'\n        ' order by u.tab)
      into digest, above, clear, taken
      from punit.user_table u;
    with r as (
        select x.tab, string_agg(format('%1$L, coalesce(to_jsonb(array_agg(distinct t.%2$I) filter'
                                        ' (where t.ver > p_base'
                                        ' and t.%2$I is not null)), ''[]'')', x.label, x.col),
                                 ', ' order by x.col) as needs
          from punit.user_reference x
         group by x.tab
    )
    select string_agg(format('select count(*), sum(%s), %s from %s t where t.user_id = p_user',
                             punit.row_hash(u.tab, u.key),
                             coalesce('jsonb_build_object(' || r.needs || ')', 'null::jsonb'),
                                 u.tab),
                      E'\n        union all ' order by u.tab)
      into manifest
      from punit.user_table u left join r using (tab);
    select string_agg(format('if not coalesce(p_needs ? %1$L, false) then return %1$L || '' is not'
                             ' looked at where the rows come from'';'
                             ' end if; v := (select min(l #>> ''{}'') from punit.lines(p_needs ->'
                             ' %1$L) l where not exists'
                             ' (select from %2$s r where r.%3$I = (l #>> ''{}'')::%4$s)); if v is'
                             ' not null then'
                             ' return format(''%%s: %%s is not here'', %1$L, v); end if;',
                             r.label, r.ref_tab, r.ref_col, format_type(a.atttypid, a.atttypmod)),
                      E'\n        ' order by r.tab, r.col)
      into missing
      from punit.user_reference r
      join pg_attribute a on a.attrelid = to_regclass(r.ref_tab) and a.attname = r.ref_col;
    with m as (
        select x.*,
               -- types of the columns here; null: a later file makes the table, and then this is
               -- called again
               (select array_agg(format_type(a.atttypid, a.atttypmod) order by c.n)
                  from unnest(x.columns) with ordinality c (name, n)
                  join pg_attribute a on a.attrelid = to_regclass(x.tab) and a.attname = c.name)
                      as types
          from punit.moved_tables() x
    ), k as (
        -- how a key's column is found in a line, and in a tombstone's pk
        select m.tab, string_agg(format(' and t.%I = (l ->>'
                                        ' %s)::%s', c.name, array_position(m.columns, c.name) - 1,
                                        m.types[array_position(m.columns, c.name)]),
                                            '' order by c.n) as same,
               string_agg(format(' and t.%I = ((l ->> 1)::jsonb ->> %s)::%s', c.name, c.n - 1,
                                 m.types[array_position(m.columns, c.name)]),
                                     '' order by c.n) as buried
          from m cross join unnest(m.key) with ordinality c (name, n)
         group by m.tab
    )
    select string_agg(format(
               'select %L, count(*), %s, json_agg(json_build_array(%s)) from %s t where t.user_id'
               ' = p_user and t.ver > p_base',
               m.tab,
               case when m.digested then format('sum(%s)', punit.row_hash(m.tab, m.key))
                   else 'null' end,
               (select string_agg(format('t.%I::text', c), ', ' order by n)
                from unnest(m.columns) with ordinality x (c, n)), m.tab),
               E'\n        union all ' order by m.rank, m.tab),
           string_agg(format(
               'if %L = any (v_buried) then delete from %s t using punit.lines(p_lines'
               ' -> ''punit.tomb'') l where l ->> 2 = %L'
               ' and t.user_id = p_user%s; end if;', m.tab, m.tab, m.tab, coalesce(k.buried, '')),
               E'\n        ' order by m.rank, m.tab) filter (where m.digested),
           string_agg(format(
               'if p_lines ? %L then delete from %s t using punit.lines(p_lines -> %L) l where'
               ' t.user_id = p_user%s;'
               ' insert into %s (%s) select %s from punit.lines(p_lines -> %L) l'
               ' where (l ->> %s)::uuid = p_user and (l ->> %s)::bigint between p_base + 1 and'
               ' p_ver;'
               ' get diagnostics v_n = row_count;'
               ' v_others := v_others + jsonb_array_length(p_lines -> %L) - v_n; end if;', m.tab,
                   m.tab, m.tab,
               coalesce(k.same, ''), m.tab,
               (select string_agg(quote_ident(c), ', ' order by n)
                from unnest(m.columns) with ordinality x (c, n)),
               (select string_agg(format('(l ->> %s)::%s', n - 1, m.types[n]), ', ' order by n)
                  from unnest(m.columns) with ordinality x (c, n)), m.tab,
               array_position(m.columns, 'user_id') - 1, array_position(m.columns, 'ver') - 1,
               m.tab),
               E'\n        ' order by m.rank, m.tab)
      into delta, bury, enter
      from m left join k using (tab)
     where m.types is not null;

    execute format($f$
        create or replace function punit.user_digest(p_user uuid, p_base bigint, out n bigint,
                                                     out digest numeric)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            select coalesce(sum(x.n), 0), coalesce(sum(x.h), 0) into n, digest from (
            %s
            ) x (n, h);
        end
        $b$ $f$, coalesce(digest, 'select 0, 0::numeric'));
    execute format($f$
        create or replace function punit.user_rows(p_user uuid, p_base bigint, p_limit bigint)
returns bigint
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            return (select sum(x.n) from (
            %s
            ) x (n));
        end
        $b$ $f$, coalesce(above, 'select 0'));
    execute format($f$
        create or replace function punit.user_delta(p_user uuid, p_base bigint, out n bigint,
                                                    out digest numeric, out sent bigint,
                                                    out tombs bigint, out lines json)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        begin
            select coalesce(sum(x.n) filter (where x.tab not in ('punit.tomb', 'punit.dedup')), 0),
                coalesce(sum(x.h), 0),
                   coalesce(sum(x.n), 0), coalesce(sum(x.n) filter (where x.tab = 'punit.tomb'), 0),
                   json_object_agg(x.tab, x.l) filter (where x.n > 0)
              into n, digest, sent, tombs, lines from (
            %s
            ) x (tab, n, h, l);
        end
        $b$ $f$, coalesce(delta, 'select null::text, 0, null::numeric, null::json where false'));
    execute format($f$
        create or replace function punit.user_take(p_user uuid, p_lines jsonb, p_base bigint,
                                                   p_ver bigint) returns bigint
        language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v_buried text[] := array(select distinct l ->> 2
                                     from punit.lines(p_lines -> 'punit.tomb') l);
            v_n      bigint;
            v_others bigint := 0;
        begin
            %s
            %s
            return v_others;
        end
        $b$ $f$, coalesce(bury, ''), coalesce(enter, ''));
    execute format($f$
        create or replace function punit.user_taken(p_user uuid, p_base bigint, p_lines jsonb,
                                                    out n bigint, out digest numeric,
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
        create or replace function punit.user_manifest(p_user uuid, p_base bigint, out n bigint,
                                                       out digest numeric, out needs jsonb)
        language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $b$
        declare
            v_needs jsonb[];
        begin
            select coalesce(sum(x.n), 0), coalesce(sum(x.h), 0),
                array_agg(x.r) filter (where x.r is not null)
              into n, digest, v_needs from (
            %s
            ) x (n, h, r);
            needs := coalesce((select jsonb_object_agg(e.key, e.value) from unnest(v_needs) r
                               cross join jsonb_each(r) e), '{}');
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
        'number of a user''s rows with ver > p_base and the sum of the hashes of (table, key,'
        ' ver); additive. Made by punit.weave';
    comment on function punit.user_rows(uuid, bigint, bigint) is
        'number of a user''s rows with ver > p_base, counting at most p_limit a table. Made by'
        ' punit.weave';
    comment on function punit.user_delta(uuid, bigint) is
        'punit.user_digest, and the rows themselves: for each table that has any, lines of its'
        ' columns as text, in the order of punit.moved_tables; sent: how many, tombs: of these'
        ' tombstones. Made by punit.weave';
    -- of a schema before the lines were checked
    if to_regprocedure('punit.user_take(uuid, jsonb)') is not null then
        drop function punit.user_take(uuid, jsonb);
    end if;
    comment on function punit.user_take(uuid, jsonb, bigint, bigint) is
        'puts in what punit.user_delta gave: deletes the keys that tombstones name, then the keys'
        ' listed, and inserts. It takes lines of this user with p_base < ver <= p_ver, and says how'
        ' many others there were. Made by punit.weave';
    comment on function punit.user_taken(uuid, bigint, jsonb) is
        'after punit.user_take of lines to a copy at p_base: punit.user_digest of the tables that'
        ' they are of, and one value of a reference that is not here, as punit.missing finds it.'
        ' Made by punit.weave';
    comment on function punit.user_clear(uuid) is
        'removes all rows of a user without tombstones: of a copy that is replaced, or of an'
        ' erased user. Made by punit.weave';
    comment on function punit.user_manifest(uuid, bigint) is
        'what a copy must have: punit.user_digest of all of a user''s rows, and for each'
        ' registered reference ("table.column -> reference table") the values that those with ver'
        ' > p_base have. Made by punit.weave';
    comment on function punit.missing(jsonb) is
        'of what punit.user_manifest says elsewhere that rows need, a value whose row is not here;'
        ' null when all are. Made by punit.weave';
    revoke all on function punit.user_clear(uuid), punit.user_take(uuid, jsonb, bigint, bigint),
        punit.user_taken(uuid, bigint, jsonb),
        punit.user_delta(uuid, bigint), punit.user_manifest(uuid, bigint),
            punit.missing(jsonb) from public;
    grant execute on function punit.user_digest(uuid, bigint) to punit_mover;
end
$$;
comment on function punit.weave() is
    'makes the functions that read or write all rows of a user; the registrations call it';
