-- The cost of a move, estimated.

create or replace function punit.weigh(p_user uuid, p_fork uuid, p_ver bigint)
returns table (mode text, n bigint, bytes bigint)
language plpgsql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o    punit.own;
    base bigint;
    t    text;
    k    bigint;
    b    bigint;
begin
    select * into o from punit.own x where x.user_id = p_user and x.state = 'OWNED';
    if not found then
        return;
    end if;
    mode := case when p_fork is distinct from o.fork or p_ver < o.gc_ver or p_ver > o.ver
        then 'full' else 'delta' end;
    base := case mode when 'full' then -1 else p_ver end;
    n := 0;
    bytes := 0;
    for t in select u.tab from punit.user_table u
             union all select 'punit.tomb' union all select 'punit.dedup' loop
        execute format('select count(*), coalesce(sum(octet_length(t::text)), 0) from %s t where'
                       ' t.user_id = $1 and t.ver > $2', t)
           into k, b using p_user, base;
        n := n + k;
        bytes := bytes + b;
    end loop;
    return next;
end
$$;
comment on function punit.weigh(uuid, uuid, bigint) is
    'what a move of a user owned here would send to a unit whose copy is at (p_fork, p_ver): mode,'
    ' rows and bytes (about); no row: not owned here';
grant execute on function punit.weigh(uuid, uuid, bigint) to punit_mover, punit_peer;
