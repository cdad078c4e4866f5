-- The ends of public keys: a key ends some time after another one signs, or at once if it was
-- stolen.

-- plpgsql: a database without auth has this function too.
create or replace function punit.key_keep() returns interval
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    return auth.access_life() + interval '5 minutes';
end
$$;
comment on function punit.key_keep() is
    'how long a key is kept after it stopped signing: the life of its last token, and 5 minutes'
    ' because clocks differ';

create or replace function punit.end_keys(p_signs text, p_keep_s double precision default null)
returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    n int;
begin
    insert into punit.unit_key_end (origin_unit, kid, until)
    select k.origin_unit, k.kid,
           clock_timestamp() + coalesce(p_keep_s * interval '1 second', punit.key_keep())
      from punit.unit_key k
     where k.origin_unit = punit.self()
       and substring(k.kid from '[0-9]+$')::bigint < substring(p_signs from '[0-9]+$')::bigint
    on conflict do nothing;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function punit.end_keys(text, double precision) is
    'p_signs is the key that signs here: the older ones of this unit end after p_keep_s (null: when'
    ' their last token has expired); says for how many that is new';

create or replace function punit.end_key(p_kid text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from punit.unit_key k
                   where k.origin_unit = punit.self() and k.kid = p_kid) then
        raise exception 'unit % has no key %', punit.self(), p_kid using errcode = 'PU404';
    end if;
    insert into punit.unit_key_end as e (origin_unit, kid, until)
    values (punit.self(), p_kid, clock_timestamp())
    on conflict (origin_unit, kid) do update set until = least(e.until, excluded.until);
end
$$;
comment on function punit.end_key(text) is 'a key of this unit is good no more. PU404: no such key';

create or replace function punit.left_keys() returns table (kid text, until timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select k.kid, max(u.retired_at) + punit.key_keep()
      from punit.unit_key k
      join punit.unit u on u.id = k.origin_unit and u.retired_at is not null
     where k.origin_unit <> punit.self()
       and not exists (select from punit.peer p where p.id = k.origin_unit)
     group by k.kid order by k.kid;
end
$$;
comment on function punit.left_keys() is
    'public keys of units that have left, and until when a token that they signed may be good';

create or replace function punit.over_keys() returns table (kid text, held boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select o.kid,
           exists (select from punit.unit_key_held h
                   where h.kid = o.kid and h.origin_unit = punit.self())
           or o.departed
      from (select e.kid, false as departed from punit.unit_key_end e
             where e.until <= clock_timestamp()
               and not exists (select from punit.left_keys() l where l.kid = e.kid)
            union all
            select l.kid, true from punit.left_keys() l
             where l.until <= clock_timestamp()
                or exists (select from punit.unit_key_end e
                            where e.kid = l.kid and e.until <= clock_timestamp())) o
$$;
comment on function punit.over_keys() is
    'public keys that no unit may accept any more; held: a row here still says that this unit does';
grant execute on function punit.over_keys() to punit_mover;

create or replace function punit.drop_key(p_kid text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    delete from punit.unit_key_held h where h.kid = p_kid and h.origin_unit = punit.self();
    with gone as (
        delete from punit.unit_key k using punit.left_keys() l
         where k.kid = p_kid and l.kid = p_kid
        returning k.origin_unit)
    delete from punit.unit_key_end e using gone g
     where e.kid = p_kid and e.origin_unit = g.origin_unit
$$;
comment on function punit.drop_key(text) is
    'this unit accepts the key no more. Of a key of a unit that has left no row remains';
grant execute on function punit.drop_key(text) to punit_mover;
