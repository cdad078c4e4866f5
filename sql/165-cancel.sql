-- Moves begun and cancelled: both go through one lock for each user, so that what is cancelled does not begin.

create function punit.move_lock(p_user uuid) returns void
language sql volatile
as $$ select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('punit.move'), pg_catalog.hashtext(p_user::text)) $$;
comment on function punit.move_lock(uuid) is
    'of the records of a user''s moves, until the transaction ends; ownership does not hang on it';

create function punit.fence_begin(p_user uuid, p_unit text, p_epoch bigint, p_base bigint, p_age_ms bigint)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.move_lock(p_user);
    -- a statement of its own: it must see what the last holder of the lock committed
    if exists (select from punit.move m
                where m.user_id = p_user and m.to_unit = punit.self()
                  and (m.phase in ('retire', 'refuse')
                       or (m.cancelled and m.finished_at > clock_timestamp() - p_age_ms * interval '1 millisecond'))) then
        return false;
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, epoch, base_ver, mode)
    values (p_user, p_unit, punit.self(), 'fence', p_epoch, p_base, 'delta')
    on conflict (user_id, to_unit) where finished_at is null do update
        set phase = 'fence', from_unit = excluded.from_unit, epoch = excluded.epoch,
            base_ver = coalesce(m.base_ver, excluded.base_ver), mode = coalesce(m.mode, 'delta'),
            touched_at = clock_timestamp();
    return true;
end
$$;
comment on function punit.fence_begin(uuid, text, bigint, bigint, bigint) is
    'before FENCE is sent: from this commit on the move must be ended, by ACTIVATE or by a refusal. False: it was cancelled within p_age_ms (since the request that called for it), or a message of the last one is still to be sent';

create function punit.cancel_move(p_user uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    m punit.move;
    r text := 'none';
begin
    perform punit.move_lock(p_user);
    -- in the order of ACTIVATE's transaction: the own row, then the record
    if exists (select from punit.move x where x.user_id = p_user and x.phase = 'fence') then
        perform from punit.own o where o.user_id = p_user for no key update;
    end if;
    for m in select * from punit.move x where x.user_id = p_user and x.finished_at is null
              order by x.started_at for update loop
        if m.phase = 'retire' then
            r := 'moved';
        elsif m.phase = 'refuse' then
            update punit.move x set cancelled = true where x.move_id = m.move_id;
            r := 'refusing';
        elsif m.phase = 'fence' then
            -- the old owner may be fenced by now: as after ABORT, this unit promises never to take him at that epoch,
            -- and then tells
            case punit.refuse(p_user, m.epoch + 1)
            when 'REFUSED' then
                update punit.move x set phase = 'refuse', cancelled = true, error = 'cancelled',
                    touched_at = clock_timestamp()
                where x.move_id = m.move_id;
                r := 'refusing';
            when 'ACTIVE' then
                r := 'moved';
            else
                -- ERASED: the mover ends it
                null;
            end case;
        else
            update punit.move x set phase = 'done', result = 'cancelled', cancelled = true,
                finished_at = clock_timestamp(), touched_at = clock_timestamp()
            where x.move_id = m.move_id;
            r := case when r = 'none' then 'cancelled' else r end;
        end if;
    end loop;
    perform pg_notify('punit_move', '');
    return r;
end
$$;
comment on function punit.cancel_move(uuid) is
    'ends the user''s unfinished moves on record here. none: there are none; cancelled; refusing: FENCE may have been sent, this unit has refused the epoch and the mover tells the old owner, who owns him again; moved: too late, he is owned here';

create function punit.ask_cancel(p_user uuid, p_from uuid, p_to uuid) returns text
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select case when punit.void(p_from, p_to) is not null then 'VOID: ' || punit.void(p_from, p_to)
                else punit.cancel_move(p_user) end
$$;
comment on function punit.ask_cancel(uuid, uuid, uuid) is 'a peer passes on that the user''s moves to this unit are cancelled';

revoke all on function punit.move_lock(uuid), punit.cancel_move(uuid),
    punit.fence_begin(uuid, text, bigint, bigint, bigint) from public;
grant execute on function punit.cancel_move(uuid), punit.fence_begin(uuid, text, bigint, bigint, bigint) to punit_mover;
grant execute on function punit.ask_cancel(uuid, uuid, uuid) to punit_peer;
