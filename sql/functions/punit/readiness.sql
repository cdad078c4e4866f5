-- Whether this unit should get new users' requests.

create or replace function punit.not_ready() returns table (why text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'leaving' from punit.me m where m.left_at is not null
    union all
    select 'draining' from punit.drain;
end
$$;
comment on function punit.not_ready() is
    'why no balancer should send requests to this unit: it has taken leave, or it is drained. No'
    ' row: it is ready';
grant execute on function punit.not_ready() to punit_service;
