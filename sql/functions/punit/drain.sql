-- Draining a unit.

create or replace function punit.drain_begin(p_to text, p_paced boolean default true) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    if p_to = punit.self() then
        raise exception 'unit % cannot be drained to itself', p_to using errcode = 'PU409';
    end if;
    if not exists (select from punit.peer p where p.id = coalesce(p_to, p.id) and p.state = 'up')
    then
        raise exception 'no unit % to drain to', coalesce(p_to, 'is up') using errcode = 'PU404';
    end if;
    -- A drain that is begun again goes on, perhaps to another unit or at another pace. Users who
    -- were asked and are still here are asked once more, which does no harm. The rows of drain_user
    -- go, since the new count does not include users who left.
    perform from punit.drain for update;
    delete from punit.drain_user;
    select count(*) into n from punit.own o where o.state in ('OWNED', 'FENCED');
    insert into punit.drain (to_unit, paced, owned, remaining) values (p_to, p_paced, n, n)
    on conflict (single) do update set to_unit = excluded.to_unit, paced = excluded.paced,
        remaining = excluded.remaining,
        next_user = '00000000-0000-0000-0000-000000000000';
    return n;
end
$$;
comment on function punit.drain_begin(text, boolean) is
    'drains this unit to p_to, or (null) to all peers in turn, paced or as fast as possible; says'
    ' how many users this unit owns. Repeatable: the drain goes on';
grant execute on function punit.drain_begin(text, boolean) to punit_mover;

create or replace function punit.drain_step(p_window int, out owned bigint, out asked bigint,
                                            out again bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    peers text[];
    d     record;
    x     punit.drain;
    room  bigint;
    gone  bigint;
begin
    select * into x from punit.drain for update;
    if not found then
        raise exception 'the drain of unit % was ended', punit.self() using errcode = 'PU409';
    end if;
    select array_agg(p.id order by p.id) into peers from punit.peer p where p.state = 'up'
        and p.id = coalesce(x.to_unit, p.id);
    delete from punit.drain_user u
     where not exists (select from punit.own o where o.user_id = u.user_id and o.state in ('OWNED',
         'FENCED'));
    get diagnostics gone = row_count;
    x.remaining := greatest(x.remaining - gone, 0);
    again := 0;
    -- A user who was passed on and is still here was perhaps forgotten there. A second request does
    -- no harm.
    for d in select u.user_id, u.to_unit from punit.drain_user u
              where peers is not null
                  and (u.asked_at < clock_timestamp() - least(30 * u.asks,
                                                              600) * interval '1 second'
                                           or u.to_unit <> all (peers))
              order by u.asked_at limit p_window loop
        update punit.drain_user u set asked_at = clock_timestamp(), asks = u.asks + 1,
            to_unit = case when u.to_unit = any (peers) then u.to_unit else peers[1] end
        where u.user_id = d.user_id returning u.to_unit into d.to_unit;
        perform punit.request_move(d.user_id, d.to_unit, x.paced);
        again := again + 1;
    end loop;
    select count(*) into asked from punit.drain_user;
    -- One pass over all users in the order of their ids: no step looks at users who have left.
    if x.next_user is not null and peers is not null then
        room := greatest(p_window - asked, 0);
        for d in select o.user_id,
            peers[1 + abs(hashtext(o.user_id::text)::bigint) % cardinality(peers)] as to_unit
                   from punit.own o
                  where o.user_id > x.next_user and o.state = 'OWNED'
                    and not exists (select from punit.drain_user u where u.user_id = o.user_id)
                  order by o.user_id limit room loop
            insert into punit.drain_user (user_id, to_unit) values (d.user_id, d.to_unit);
            perform punit.request_move(d.user_id, d.to_unit, x.paced);
            x.next_user := d.user_id;
            room := room - 1;
            asked := asked + 1;
        end loop;
        if room > 0 then
            x.next_user := null;
            x.passed_at := clock_timestamp();
        end if;
    end if;
    -- Another pass finds the users who came to be owned here meanwhile.
    if (asked = 0 and x.remaining = 0)
        or (x.next_user is null and x.passed_at < clock_timestamp() - case when asked = 0 then 1
            else 10 end * interval '1 second')
    then
        select count(*) into x.remaining from punit.own o where o.state in ('OWNED', 'FENCED');
        x.next_user := '00000000-0000-0000-0000-000000000000';
        x.passed_at := clock_timestamp();
    end if;
    owned := greatest(x.remaining, asked);
    update punit.drain set remaining = x.remaining, next_user = x.next_user,
        passed_at = x.passed_at;
end
$$;
comment on function punit.drain_step(int) is
    'asks peers to take users until p_window are on their way; says how many are still owned here,'
    ' on their way, and asked again. PU409: the drain has ended';
grant execute on function punit.drain_step(int) to punit_mover;

create or replace function punit.drain_end() returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was boolean;
begin
    -- in the order in which drain_step takes its locks
    delete from punit.drain;
    was := found;
    delete from punit.drain_user;
    return was;
end
$$;
comment on function punit.drain_end() is
    'users may come here again; false: the unit was not drained';
grant execute on function punit.drain_end() to punit_mover;

create or replace function punit.drain_asked(p_keep text default null)
returns table (to_unit text, users uuid[], paced boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from punit.drain for update;
    return query
        select u.to_unit, array_agg(u.user_id), bool_and(d.paced)
          from punit.drain_user u cross join punit.drain d
         where u.to_unit is distinct from p_keep
         group by u.to_unit;
end
$$;
comment on function punit.drain_asked(text) is
    'the users whom this drain asked units to take, but for p_keep. The drain makes no step until'
    ' the transaction ends';
grant execute on function punit.drain_asked(text) to punit_mover;

create or replace function punit.withdraw(p_to text, p_users uuid[]) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    update punit.move m set phase = 'done', result = 'cancelled', cancelled = true,
        finished_at = clock_timestamp(), touched_at = clock_timestamp()
     where m.user_id = any (p_users) and m.to_unit = p_to and m.phase = 'pass'
       and m.finished_at is null;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function punit.withdraw(text, uuid[]) is
    'ends requests to a unit that have not been passed on to it; says how many';
grant execute on function punit.withdraw(text, uuid[]) to punit_mover;

create or replace function punit.ask_withdraw(p_users uuid[], p_paced boolean, p_from uuid,
                                              p_to uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v text := punit.void(p_from, p_to);
    n bigint := 0;
    u uuid;
begin
    if v is not null then
        return 'VOID: ' || v;
    end if;
    for u in select m.user_id from punit.move m
              where (p_users is null or m.user_id = any (p_users))
                and m.to_unit = punit.self() and m.asked
                and m.from_unit = punit.caller() and m.phase in ('wanted', 'copy')
                and (m.paced or not p_paced) and m.finished_at is null
              order by m.user_id loop
        n := n + (punit.cancel_move(u) = 'cancelled')::int;
    end loop;
    return n;
end
$$;
comment on function punit.ask_withdraw(uuid[], boolean, uuid, uuid) is
    'a peer takes back what it asked for these users of its own (null: for all of them); says how'
    ' many moves that ended.'
    ' p_paced: it asked for background work, so what anybody else asked for goes on';
grant execute on function punit.ask_withdraw(uuid[], boolean, uuid, uuid) to punit_peer;
