-- This unit, its callers and its incarnations.

create or replace function punit.caller() returns text
language sql stable parallel safe
as $$ select substring(session_user from '^punit_peer_([a-z0-9-]{1,32})$') $$;
comment on function punit.caller() is
    'the unit whose session this is; null in a session of this unit''s own';
grant execute on function punit.caller() to punit_gridd, punit_mover, punit_peer, punit_service;

create or replace function punit.incarnation_of(p_unit text) returns uuid
language plpgsql stable
as $$
begin
    return (select u.incarnation from punit.unit u
    where u.id = p_unit and u.retired_at is null
    order by u.origin_unit = u.id desc limit 1);
end
$$;
comment on function punit.incarnation_of(text) is
    'incarnation of a unit as far as this unit knows; the unit''s own row counts before that of'
    ' its adopter';
grant execute on function punit.incarnation_of(text)
to punit_gridd, punit_mover, punit_peer, punit_service;

create or replace function punit.announce() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.unit (origin_unit, id, incarnation, retired_at)
    values (new.id, new.id, new.incarnation, new.left_at)
    on conflict (origin_unit, id) do update set incarnation = excluded.incarnation,
        retired_at = excluded.retired_at;
    return null;
end
$$;
comment on function punit.announce() is
    'copies changes of punit.me to this unit''s row of punit.unit';

create or replace trigger announce after insert or update on punit.me
    for each row execute function punit.announce();

create or replace function punit.stay_or_refuse() returns void
language plpgsql stable
as $$
begin
    if exists (select from punit.me m where m.left_at is not null) then
        raise exception 'this unit has left the system' using errcode = 'PU503';
    end if;
end
$$;
comment on function punit.stay_or_refuse() is 'raises PU503 if this unit has left the system';
grant execute on function punit.stay_or_refuse()
to punit_gridd, punit_mover, punit_peer, punit_service;
