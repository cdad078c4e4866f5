-- A user who writes so fast that no delta gets small enough for FENCE is slowed by the lock of the
-- user's own row. Writes of other users pay nothing, and the user's writers queue behind the lock
-- in order.

create or replace function punit.brake() returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    h punit.hot;
    n int := 0;
begin
    perform set_config('lock_timeout', '1s', true);
    for h in select * from punit.hot x where x.until > clock_timestamp() loop
        begin
            perform from punit.own o where o.user_id = h.user_id and o.state = 'OWNED'
                for no key update;
            if found then
                n := n + 1;
                perform pg_sleep(h.hold_ms / 1000.0);
            end if;
            -- The end of the subtransaction releases the lock before the next user's turn.
            raise exception using errcode = 'PU000';
        exception when sqlstate 'PU000' or lock_not_available then
            null;
        end;
    end loop;
    delete from punit.hot x where x.until <= clock_timestamp();
    return n;
end
$$;
comment on function punit.brake() is
    'makes the writers of each hot user wait once for hold_ms; says how many such users there are.'
    ' The mover calls it again at once while there are any';
grant execute on function punit.brake() to punit_mover;
