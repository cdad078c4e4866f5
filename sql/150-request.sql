-- Moves that an operator asks for, at the new owner or at the old one.

create function punit.request_move(p_user uuid, p_to text, p_paced boolean default false) returns uuid
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
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, asked, paced)
    values (p_user, o.unit, p_to, case when p_to = punit.self() then 'wanted' else 'pass' end, true, p_paced)
    on conflict (user_id, to_unit) where finished_at is null do update
        set asked = true, paced = excluded.paced and (m.paced or not m.asked),
            phase = case m.phase when 'copy' then 'wanted' else m.phase end
    returning move_id into id;
    perform pg_notify('punit_move', '');
    return id;
end
$$;
comment on function punit.request_move(uuid, text, boolean) is
    'asks for a move of a user to a unit, this one or a peer (p_paced: nobody waits for it); gives the move_id of the record here. PU401 unknown user, PU404 unknown unit, PU409 owned there already';

create function punit.ask_move(p_user uuid, p_owner text, p_from uuid, p_to uuid, p_paced boolean default false) returns text
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
    end if;
    -- a drain asks again for whom a crash forgets
    if p_paced then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, asked, paced)
    values (p_user, coalesce(o.unit, p_owner), punit.self(), 'wanted', true, p_paced)
    on conflict (user_id, to_unit) where finished_at is null do update
        set asked = true, paced = excluded.paced and (m.paced or not m.asked),
            phase = case m.phase when 'copy' then 'wanted' else m.phase end;
    perform pg_notify('punit_move', '');
    return 'OK';
end
$$;
comment on function punit.ask_move(uuid, text, uuid, uuid, boolean) is
    'a peer passes on that this unit is asked to take the user; p_owner: who owns him as the peer knows; p_paced: nobody waits for it';

grant execute on function punit.request_move(uuid, text, boolean) to punit_mover;
grant execute on function punit.ask_move(uuid, text, uuid, uuid, boolean) to punit_peer;
