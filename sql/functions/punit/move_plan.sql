-- The statements that move a table, and the plans that a session keeps for them.

create or replace function punit.move_plan()
returns table (tab text, digested boolean, copy_out text, stage text, staged text, stage_in text,
               direct_in text,
               remove text, enter text, bury text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with s as (
        select t.*, 'pg_temp.stage_' || replace(t.tab, '.', '_') as staged,
               (select string_agg(quote_ident(c), ', ' order by n)
                from unnest(t.columns) with ordinality x (c, n)) as cols,
               (select string_agg(format(' and t.%1$I = s.%1$I', k), '' order by n)
                  from unnest(t.key) with ordinality x (k, n)) as same,
               (select string_agg(format(' and t.%I = (s.pk ->> %s)::%s', k, n - 1,
                                         format_type(a.atttypid, a.atttypmod)), '' order by n)
                  from unnest(t.key) with ordinality x (k, n)
                  join pg_attribute a on a.attrelid = to_regclass(t.tab) and a.attname = k)
                      as buried
        from punit.moved_tables() t
    )
    select s.tab, s.digested,
           format('copy (select %s from %s where user_id = current_setting(''punit.user'')::uuid'
                  ' and ver > current_setting(''punit.base'')::bigint) to stdout', s.cols, s.tab),
           format('create temporary table if not exists %s as select %s from %s with no data',
                  substr(s.staged, 9), s.cols, s.tab),
           s.staged, format('copy %s (%s) from stdin', s.staged, s.cols),
           format('copy %s (%s) from stdin', s.tab, s.cols),
           format('delete from %s t using %s s where t.user_id = s.user_id%s', s.tab, s.staged,
                  coalesce(s.same, '')),
           format('insert into %s (%s) select %s from %s', s.tab, s.cols, s.cols, s.staged),
           case when s.digested then
               format('delete from %s t using pg_temp.stage_punit_tomb s where s.tab = %L and'
                      ' t.user_id = s.user_id%s',
                      s.tab, s.tab, coalesce(s.buried, ''))
           end
    from s order by s.rank, s.tab
$$;
comment on function punit.move_plan() is
    'the statements that read a user''s rows of a table at the old owner, stage them at the new'
    ' one and insert them: bury (delete what tombstones name), remove (delete the listed keys),'
    ' enter. All come from one list of columns, so both units agree if punit.shape does';
grant execute on function punit.move_plan() to punit_mover;

create or replace function punit.warm() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    -- After five calls PostgreSQL chooses a plan that serves every user.
    for i in 1 .. 6 loop
        perform punit.user_digest(nobody, 0), punit.user_digest(nobody, -1),
            punit.more_rows(nobody, -1, 1),
                punit.user_delta(nobody, 0),
                punit.void(null, null), punit.shape_md5();
        perform punit.missing(x.needs) from punit.user_manifest(nobody, 0) x;
        perform * from punit.wait_left(nobody, 0, true);
        perform * from punit.owner_of(nobody);
    end loop;
end
$$;
comment on function punit.warm() is
    'makes this session plan what a hand-over calls; changes nothing';
grant execute on function punit.warm() to punit_mover, punit_peer;

create or replace function punit.rehearse() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nobody  constant uuid := '00000000-0000-0000-0000-000000000000';
    v_here  uuid := (select m.incarnation from punit.me m);
    -- no row of any table, and a tombstone that names none
    v_delta jsonb := (select jsonb_object_agg(t.tab,
                                              '[]'::jsonb) || jsonb_build_object('punit.tomb',
                                 jsonb_agg(jsonb_build_array(now()::text, '[]', t.tab, nobody::text,
                                                             '1')))
                        from punit.moved_tables() t);
begin
    perform punit.user_clear(nobody);
    if punit.apply_open(nobody, '', punit.incarnation_of(''), v_here, true, -1, 0, nobody) <> 'OK'
       or punit.copy_close(nobody, '', 0, nobody, 0, 0, 0,
                           (select x.needs from punit.user_manifest(nobody, 0) x)) <> 'OK'
       or punit.take(nobody, '', punit.incarnation_of(''), v_here, 0, 1, nobody, 0, 0, 0, 1, 1, 0,
                     0, 0, 0, v_delta) <> 'OK' then
        raise exception 'rehearse: nobody cannot be taken';
    end if;
    raise exception using errcode = 'PU001';
exception when sqlstate 'PU001' then
    null;
end
$$;
comment on function punit.rehearse() is
    'a hand-over of a user that does not exist, rolled back: makes this session plan what ACTIVATE'
    ' does';
grant execute on function punit.rehearse() to punit_mover;
