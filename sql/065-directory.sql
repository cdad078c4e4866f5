-- Where a user lives, as far as this unit knows: its own row first, then the directory.

create table punit.home (
    origin_unit text not null,
    user_id     uuid not null,
    epoch       bigint not null,
    primary key (origin_unit, user_id)
);
comment on table punit.home is
    'replicated to every unit: origin_unit owned the user from this epoch on; the highest epoch is the owner';
create index home_user on punit.home (user_id, epoch);

create function punit.set_home(p_user uuid, p_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.home (origin_unit, user_id, epoch) values (punit.self(), p_user, p_epoch)
    on conflict (origin_unit, user_id) do update set epoch = excluded.epoch
    where punit.home.epoch < excluded.epoch;
end
$$;
comment on function punit.set_home(uuid, bigint) is 'tells the directory that this unit owns the user from this epoch on';

create function punit.create_user(p_user uuid) returns bigint
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
    'a new user, owned here at epoch 1 and ver 0; his first rows may be written in the same transaction without a bump';

create function punit.owner_of(p_user uuid)
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
        -- this unit's own home row is history: it does not own him
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
    'always one row: the state here, who owns the user as this unit believes (null: unknown) from which epoch on, and the epoch of the row here. What a worker answers when the fence gave no row';

revoke all on punit.home from public;
grant select on punit.home to punit_service, punit_mover;
grant execute on function punit.create_user(uuid) to punit_auth;
grant execute on function punit.owner_of(uuid) to punit_service, punit_mover, punit_gridd;
