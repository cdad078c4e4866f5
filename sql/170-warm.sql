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
        perform punit.user_digest(nobody, 0), punit.user_digest(nobody, -1), punit.user_rows(nobody, 0, 1),
                punit.user_delta(nobody, 0),
                punit.void(null, null), punit.shape_md5();
        perform * from punit.user_missing(nobody, 0);
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
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    perform punit.apply_open(nobody, '', punit.incarnation_of(''), (select m.incarnation from punit.me m), true, -1, 0,
                             nobody, 1);
    -- no row of any table, and a tombstone that names none
    perform punit.take(nobody, '', punit.incarnation_of(''), (select m.incarnation from punit.me m), -1, 0, null, 0, 0, 0, 1, 1,
                       0, 0, 0, 0, jsonb_object_agg(t.tab, '[]'::jsonb) || jsonb_build_object('punit.tomb',
                           jsonb_agg(jsonb_build_array(now()::text, '[]', t.tab, nobody::text, '0'))))
       from punit.moved_tables() t;
    raise exception using errcode = 'PU001';
exception when sqlstate 'PU001' then
    null;
end
$$;
comment on function punit.rehearse() is 'a hand-over of nobody, undone: makes this session plan what ACTIVATE does';

grant execute on function punit.warm() to punit_mover, punit_peer;
grant execute on function punit.rehearse() to punit_mover;
