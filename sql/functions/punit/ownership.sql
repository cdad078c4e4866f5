-- The owner of a user, and the bump with which every write of a user begins.

create or replace function punit.bump(p_user uuid) returns table (ver bigint, epoch bigint)
language plpgsql volatile rows 1
as $$
begin
    return query
        update punit.own o set ver = o.ver + 1, bump_xid = pg_catalog.pg_current_xact_id()
        where o.user_id = p_user and o.state = 'OWNED'
        returning o.ver, o.epoch;
end
$$;
comment on function punit.bump(uuid) is
    'the fence of functions that write: call it first, in a statement of its own. No row: the user'
    ' is not owned here, so write nothing. It waits for running writers of the user, and FENCE'
    ' waits for this transaction';
grant execute on function punit.bump(uuid) to punit_service;

create or replace function punit.create_user(p_user uuid) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.stay_or_refuse();
    insert into punit.own (user_id, state, epoch, ver, bump_xid, fork)
    values (p_user, 'OWNED', 1, 0, pg_current_xact_id(), gen_random_uuid());
    perform punit.set_home(p_user, 1);
    return 1;
end
$$;
comment on function punit.create_user(uuid) is
    'makes a user, owned here at epoch 1 and ver 0; the same transaction may write rows of the'
    ' user without a bump';
grant execute on function punit.create_user(uuid) to punit_auth;

create or replace function punit.set_home(p_user uuid, p_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.home (origin_unit, user_id, epoch) values (punit.self(), p_user, p_epoch)
    on conflict (origin_unit, user_id) do update set epoch = excluded.epoch
    where punit.home.epoch < excluded.epoch;
end
$$;
comment on function punit.set_home(uuid, bigint) is
    'tells the directory that this unit owns the user from this epoch on';

create or replace function punit.owner_of(p_user uuid)
returns table (state text, unit text, epoch bigint, own_epoch bigint)
language plpgsql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o punit.own;
    h punit.home;
begin
    select * into o from punit.own where user_id = p_user;
    if o.state = 'OWNED' then
        return query select o.state, punit.self(), o.epoch, o.epoch;
    elsif o.state = 'FENCED' then
        return query select o.state, o.fence_to, o.fence_epoch, o.epoch;
    elsif o.state = 'ERASED' then
        return query select o.state, null::text, o.epoch, o.epoch;
    else
        -- This unit's own row of punit.home is history, since it does not own the user.
        select * into h from punit.home x
        where x.user_id = p_user and x.origin_unit <> punit.self()
        order by x.epoch desc limit 1;
        if h.epoch is null or (o.owner_hint is not null and o.epoch >= h.epoch) then
            return query select 'COPY', o.owner_hint, coalesce(o.epoch, 0), coalesce(o.epoch, 0);
        else
            return query select 'COPY', h.origin_unit, h.epoch, coalesce(o.epoch, 0);
        end if;
    end if;
end
$$;
comment on function punit.owner_of(uuid) is
    'always one row: the state here, the owner as this unit knows (null: unknown) with its epoch,'
    ' and the epoch of the row here. A worker asks it when the fence gave no row';
grant execute on function punit.owner_of(uuid) to punit_gridd, punit_mover, punit_service;

create or replace function punit.inspect_user(p_user uuid)
returns table (unit text, state text, epoch bigint, ver bigint, fork uuid, owner_hint text,
               fence_to text, fence_epoch bigint, touched_at timestamptz)
language sql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
    select punit.self(), o.state, o.epoch, o.ver, o.fork, o.owner_hint, o.fence_to, o.fence_epoch,
        o.touched_at
      from (values (1)) one left join punit.own o on o.user_id = p_user
$$;
comment on function punit.inspect_user(uuid) is
    'always one row: what this unit holds of a user, nulls if nothing; for punitctl user, here and'
    ' at peers';
grant execute on function punit.inspect_user(uuid) to punit_peer;
