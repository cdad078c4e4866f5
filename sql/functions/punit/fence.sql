-- FENCE at the old owner S, the first of the two transactions of a hand-over; and how a fence ends.

create or replace function punit.fence(p_user uuid, p_epoch bigint, p_base bigint, p_fork uuid,
                                       p_from uuid, p_to uuid, p_shape text, p_max_rows bigint,
                                       p_quiet_ms bigint default 0, p_dwell boolean default true,
                                       p_busy int default 0)
returns table (result text, epoch bigint, ver bigint, fork uuid, wait_ms bigint, seen_ms bigint,
               unit text,
               unit_epoch bigint, detail text)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o punit.own;
    w record;
begin
    wait_ms := 0;
    detail := punit.void(p_from, p_to);
    if detail is not null then
        result := 'VOID';
        return next;
        return;
    end if;
    -- Waits for the user's running writers, so that their rows are in the final read. Later writers
    -- queue behind this wait, so it is short, and longer each time.
    begin
        perform set_config('lock_timeout', 50 << least(greatest(p_busy, 0), 5) || 'ms', true);
        select * into o from punit.own x where x.user_id = p_user for no key update;
        perform set_config('lock_timeout', '0', true);
    exception when lock_not_available then
        result := 'BUSY';
        detail := 'writing';
        wait_ms := 100;
        return next;
        return;
    end;
    epoch := o.epoch;
    ver := o.ver;
    fork := o.fork;
    if o.state = 'FENCED' and o.fence_to = punit.caller() and o.epoch = p_epoch then
        -- repeated: the same answer
        result := 'FENCED';
    elsif o.state = 'ERASED' then
        result := 'ERASED';
    elsif o.state is distinct from 'OWNED' then
        result := 'NOT_OWNER';
        select x.unit, x.epoch into unit, unit_epoch from punit.owner_of(p_user) x;
    elsif o.epoch <> p_epoch then
        result := 'EPOCH';
    elsif punit.shape_md5() <> p_shape then
        result := 'SHAPE';
        detail := punit.shape();
    elsif p_base >= 0 and (p_fork is distinct from o.fork or p_base < o.gc_ver or p_base > o.ver)
    then
        result := 'STALE';
    else
        select * into w from punit.wait_left(p_user, p_quiet_ms, p_dwell);
        seen_ms := w.seen_ms;
        if w.wait_ms > 0 then
            result := 'BUSY';
            wait_ms := w.wait_ms;
            detail := w.why;
        elsif p_base < o.ver and punit.more_rows(p_user, p_base, p_max_rows) then
            result := 'BUSY';
            detail := 'rows';
            if p_busy >= 3 then
                insert into punit.hot (user_id, until, hold_ms)
                values (p_user, clock_timestamp() + interval '2 seconds', 5 << least(p_busy - 3, 5))
                on conflict (user_id) do update set until = excluded.until,
                    hold_ms = excluded.hold_ms;
                perform pg_notify('punit_hot', '');
            end if;
        else
            update punit.own x set state = 'FENCED', fence_to = punit.caller(),
                fence_epoch = o.epoch + 1,
                touched_at = clock_timestamp()
            where x.user_id = p_user;
            result := 'FENCED';
        end if;
    end if;
    return next;
end
$$;
comment on function punit.fence(uuid, bigint, bigint, uuid, uuid, uuid, text, bigint, bigint,
                                boolean, int) is
    'FENCE at this epoch, to the caller. p_base -1: there is no copy there, and few rows may come'
    ' at once. p_busy: how often it was BUSY before. FENCED, also when repeated; BUSY (detail:'
    ' writing, rows, quiet, dwell; nothing changed); EPOCH (epoch: the right one), STALE (PULL'
    ' first), NOT_OWNER, SHAPE, ERASED, VOID. After its commit punit.pull with p_final reads the'
    ' final delta in a new snapshot';
grant execute on function punit.fence(uuid, bigint, bigint, uuid, uuid, uuid, text, bigint, bigint,
                                      boolean, int) to punit_peer;

create or replace function punit.retire_to(p_user uuid, p_unit text, p_epoch bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update punit.own o set state = 'COPY', epoch = p_epoch, owner_hint = p_unit, fence_to = null,
        fence_epoch = null,
        touched_at = clock_timestamp()
    where o.user_id = p_user and o.state = 'FENCED' and o.fence_epoch = p_epoch
        and o.fence_to = p_unit;
    if found then
        delete from punit.stay s where s.user_id = p_user;
        delete from punit.local_seen s where s.user_id = p_user;
        return 'RETIRED';
    end if;
    return 'UNCHANGED';
end
$$;
comment on function punit.retire_to(uuid, text, bigint) is
    'FENCED to this unit at this epoch -> COPY that names the new owner; any other state stays as'
    ' it is';

create or replace function punit.unfence_from(p_user uuid, p_unit text, p_epoch bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update punit.own o set state = 'OWNED', epoch = p_epoch + 1, fence_to = null,
        fence_epoch = null,
        touched_at = clock_timestamp()
    where o.user_id = p_user
      and (o.state = 'FENCED' and o.fence_epoch = p_epoch and o.fence_to = p_unit
           -- The refusal came before FENCE: act as if FENCE had come just before, so that a late
           -- one finds another epoch.
           or o.state = 'OWNED' and o.epoch = p_epoch - 1);
    if found then
        perform punit.set_home(p_user, p_epoch + 1);
        -- The unit never owned the user, but messages for the user may have gone there.
        insert into punit.former_home (origin_unit, user_id, epoch) values (p_unit, p_user, 0)
        on conflict (origin_unit, user_id) do update set ended_at = now();
        return 'UNFENCED';
    end if;
    return 'UNCHANGED';
end
$$;
comment on function punit.unfence_from(uuid, text, bigint) is
    'the unit has refused this epoch for good: FENCED to it at this epoch, or OWNED just before it'
    ' -> OWNED at the epoch after it; any other state stays as it is';

create or replace function punit.retire(p_user uuid, p_epoch bigint, p_from uuid, p_to uuid)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce('VOID: ' || punit.void(p_from, p_to),
                    punit.retire_to(p_user, punit.caller(), p_epoch));
end
$$;
comment on function punit.retire(uuid, bigint, uuid, uuid) is
    'RETIRE: the calling unit owns the user since this epoch; repeatable';
grant execute on function punit.retire(uuid, bigint, uuid, uuid) to punit_peer;

create or replace function punit.refused(p_user uuid, p_epoch bigint, p_from uuid, p_to uuid)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce('VOID: ' || punit.void(p_from, p_to),
                    punit.unfence_from(p_user, punit.caller(), p_epoch));
end
$$;
comment on function punit.refused(uuid, bigint, uuid, uuid) is
    'REFUSED: the calling unit has committed never to activate this epoch; repeatable';
grant execute on function punit.refused(uuid, bigint, uuid, uuid) to punit_peer;
