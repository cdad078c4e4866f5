-- A new session plans each of these when it first calls it, some 10 ms in all: better once, when the mover connects,
-- than while a user waits between FENCE and ACTIVATE.

create function punit.warm() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    -- after five calls PostgreSQL settles for a plan that serves every user
    for i in 1 .. 6 loop
        perform punit.user_digest(nobody, 0), punit.user_digest(nobody, -1), punit.more_rows(nobody, -1, 1),
                punit.user_delta(nobody, 0),
                punit.void(null, null), punit.shape_md5();
        perform punit.missing(x.needs) from punit.user_manifest(nobody, 0) x;
        perform * from punit.wait_left(nobody, 0, true);
        perform * from punit.owner_of(nobody);
    end loop;
end
$$;
comment on function punit.warm() is 'makes this session plan what a hand-over calls; changes nothing';

create function punit.rehearse() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nobody  constant uuid := '00000000-0000-0000-0000-000000000000';
    v_here  uuid := (select m.incarnation from punit.me m);
    -- no row of any table, and a tombstone that names none
    v_delta jsonb := (select jsonb_object_agg(t.tab, '[]'::jsonb) || jsonb_build_object('punit.tomb',
                                 jsonb_agg(jsonb_build_array(now()::text, '[]', t.tab, nobody::text, '0')))
                        from punit.moved_tables() t);
begin
    perform punit.user_clear(nobody);
    if punit.apply_open(nobody, '', punit.incarnation_of(''), v_here, true, -1, 0, nobody) <> 'OK'
       or punit.copy_close(nobody, '', 0, nobody, 0, 0, 0, (select x.needs from punit.user_manifest(nobody, 0) x)) <> 'OK'
       or punit.take(nobody, '', punit.incarnation_of(''), v_here, 0, 0, nobody, 0, 0, 0, 1, 1, 0, 0, 0, 0, v_delta) <> 'OK' then
        raise exception 'rehearse: nobody cannot be taken';
    end if;
    raise exception using errcode = 'PU001';
exception when sqlstate 'PU001' then
    null;
end
$$;
comment on function punit.rehearse() is 'a hand-over of nobody, undone: makes this session plan what ACTIVATE does';

grant execute on function punit.warm() to punit_mover, punit_peer;
grant execute on function punit.rehearse() to punit_mover;
