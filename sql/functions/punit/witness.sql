-- Another unit that can say whether a unit owns a user.

create or replace function punit.witness(p_user uuid, p_unit text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o       punit.own;
    v_other text;
begin
    select * into o from punit.own x where x.user_id = p_user;
    select h.origin_unit into v_other from punit.home h
     where h.user_id = p_user and h.origin_unit not in (punit.self(), p_unit)
       and h.epoch >= coalesce(o.epoch, 0)
       and exists (select from punit.peer p where p.id = h.origin_unit)
     order by h.epoch desc limit 1;
    if v_other is null and o.state = 'COPY' and o.epoch > 0
        and o.owner_hint not in (punit.self(), p_unit) then
        v_other := o.owner_hint;
    end if;
    return v_other;
end
$$;
comment on function punit.witness(uuid, text) is
    'the last unit, but p_unit and this one, that owned the user since the user left here. It knows'
    ' whether it gave the user away. Null: there is none, so the user is p_unit''s';

create or replace function punit.deny_owner(p_user uuid, p_unit text, p_witness text,
                                            p_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- Without a row of the unit in the directory, it was a stale request that named the unit.
    if punit.home_of(p_unit, p_user) >= p_epoch then
        perform punit.note_refusal(p_unit, 'move', 'not-the-owner', format(
            'user=%s owner=%s epoch=%s', p_user, p_witness, p_epoch));
    end if;
    update punit.move m set touched_at = clock_timestamp(),
        error = format('OWNER %s says that it owns the user at epoch %s', p_witness, p_epoch)
    where m.user_id = p_user and m.to_unit = punit.self() and m.finished_at is null;
end
$$;
comment on function punit.deny_owner(uuid, text, text, bigint) is
    'the witness owns the user at this epoch. So p_unit does not, whatever it wrote into the'
    ' directory';
grant execute on function punit.deny_owner(uuid, text, text, bigint) to punit_mover;
