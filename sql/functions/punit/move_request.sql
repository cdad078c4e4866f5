-- Moves that an operator asks for or cancels, at the new owner or at the old one.

create or replace function punit.request_move(p_user uuid, p_to text,
                                              p_paced boolean default false) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o  record;
    id uuid;
begin
    if p_to <> punit.self() and not exists (select from punit.peer p where p.id = p_to) then
        raise exception 'no unit %', p_to using errcode = 'PU404';
    end if;
    select * into o from punit.owner_of(p_user);
    if o.state = 'ERASED' or o.unit is null then
        raise exception 'no user %', p_user using errcode = 'PU401';
    end if;
    if o.state = 'OWNED' and p_to = punit.self() then
        raise exception 'user % is owned here already', p_user using errcode = 'PU409';
    elsif o.unit = p_to and p_to <> punit.self() then
        raise exception 'user % is owned at % already, as far as % knows', p_user, p_to,
            punit.self() using errcode = 'PU409';
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, asked, paced)
    values (p_user, o.unit, p_to, case when p_to = punit.self() then 'wanted' else 'pass' end, true,
            p_paced)
    on conflict (user_id, to_unit) where finished_at is null do update
        set asked = true, paced = excluded.paced and (m.paced or not m.asked),
            phase = case m.phase when 'copy' then 'wanted' else m.phase end
    returning move_id into id;
    perform pg_notify('punit_move', '');
    return id;
end
$$;
comment on function punit.request_move(uuid, text, boolean) is
    'asks for a move of a user to a unit, this one or a peer, and gives the move_id of the record'
    ' here. p_paced: background work. PU401 unknown user, PU404 unknown unit, PU409 owned there'
    ' already, as far as this unit knows';
grant execute on function punit.request_move(uuid, text, boolean) to punit_mover;

create or replace function punit.ask_move(p_user uuid, p_owner text, p_from uuid, p_to uuid,
                                          p_paced boolean default false) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v text := punit.void(p_from, p_to);
    o record;
begin
    if v is not null then
        return 'VOID: ' || v;
    end if;
    select * into o from punit.owner_of(p_user);
    if o.state in ('OWNED', 'ERASED') then
        return o.state;
    elsif o.unit is null then
        -- The mesh brings the directory's row of a new user soon.
        perform punit.note_refusal(punit.caller(), 'call', 'move-unknown-user',
                                   format('user=%s', p_user));
        return format('LATER: %s does not know the user yet', punit.self());
    end if;
    -- A drain repeats its requests, so a crash may lose them.
    if p_paced then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, asked, paced, asked_by)
    values (p_user, o.unit, punit.self(), 'wanted', true, p_paced, punit.caller())
    on conflict (user_id, to_unit) where finished_at is null do update
        set asked = true, asked_by = coalesce(m.asked_by, excluded.asked_by),
            paced = excluded.paced and (m.paced or not m.asked),
            phase = case m.phase when 'copy' then 'wanted' else m.phase end;
    perform pg_notify('punit_move', '');
    return 'OK';
end
$$;
comment on function punit.ask_move(uuid, text, uuid, uuid, boolean) is
    'a peer passes on the request that this unit takes the user. p_owner: the owner as the peer'
    ' knows, which counts for nothing here; p_paced: background work. LATER: the user is not known'
    ' here';
grant execute on function punit.ask_move(uuid, text, uuid, uuid, boolean) to punit_peer;

create or replace function punit.cancel_move(p_user uuid) returns text
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
            -- The old owner may be fenced by now. As after ABORT, this unit promises never to
            -- activate that epoch, and then tells the old owner.
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
    'ends the user''s unfinished moves on record here. none: there are none. cancelled. refusing:'
    ' FENCE may have been sent, so this unit has refused the epoch and the mover tells the old'
    ' owner, who owns the user again. moved: too late, the user is owned here';
grant execute on function punit.cancel_move(uuid) to punit_mover;

create or replace function punit.ask_cancel(p_user uuid, p_from uuid, p_to uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v        text := punit.void(p_from, p_to);
    v_caller text := punit.caller();
begin
    if v is not null then
        return 'VOID: ' || v;
    elsif exists (select from punit.move m where m.user_id = p_user and m.finished_at is null
                  and v_caller not in (m.from_unit, m.to_unit, coalesce(m.asked_by, ''))) then
        perform punit.note_refusal(v_caller, 'call', 'cancel-not-concerned',
                                   format('user=%s', p_user));
        return 'not cancelled: only the old owner, the new one and the unit that asked do that';
    end if;
    return punit.cancel_move(p_user);
end
$$;
comment on function punit.ask_cancel(uuid, uuid, uuid) is
    'a peer passes on that the user''s moves to this unit are cancelled: moves from there, or moves'
    ' that it asked for';
grant execute on function punit.ask_cancel(uuid, uuid, uuid) to punit_peer;
