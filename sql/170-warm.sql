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
                punit.void(null, null), punit.shape_md5();
        perform * from punit.user_missing(nobody, 0);
        perform * from punit.wait_left(nobody, 0, true);
        perform * from punit.owner_of(nobody);
    end loop;
end
$$;
comment on function punit.warm() is 'makes this session plan what a hand-over calls; changes nothing';
grant execute on function punit.warm() to punit_mover, punit_peer;
