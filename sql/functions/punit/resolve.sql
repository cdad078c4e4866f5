-- RESOLVE and ABORT: how a user who hangs between two units gets an owner again.

create or replace function punit.epoch_room() returns bigint
language sql immutable return 10000;
comment on function punit.epoch_room() is
    'how far an epoch that a peer names may be above those known here: more hand-overs of one user'
    ' than this unit can have missed';

create or replace function punit.refuse(p_user uuid, p_epoch bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o punit.own;
begin
    -- An upsert: an update of no row would store no refusal, and a late answer to FENCE would make
    -- a second owner.
    insert into punit.own (user_id, state, refused_epoch) values (p_user, 'COPY', p_epoch)
    on conflict (user_id) do update set refused_epoch = greatest(punit.own.refused_epoch,
                                                                 excluded.refused_epoch)
        where punit.own.epoch < excluded.refused_epoch and punit.own.state <> 'ERASED';
    select * into o from punit.own x where x.user_id = p_user;
    return case
        when o.state = 'ERASED' then 'ERASED'
        when o.epoch >= p_epoch then 'ACTIVE'
        else 'REFUSED'
    end;
end
$$;
comment on function punit.refuse(uuid, bigint) is
    'REFUSED: from this commit on this unit will never activate that epoch. ACTIVE: it has'
    ' activated that epoch or a later one. ERASED';
grant execute on function punit.refuse(uuid, bigint) to punit_mover;

create or replace function punit.resolve(p_user uuid, p_epoch bigint, p_from uuid, p_to uuid)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v text := punit.void(p_from, p_to);
    o punit.own;
begin
    if v is not null then
        return 'VOID: ' || v;
    end if;
    select * into o from punit.own x where x.user_id = p_user;
    if o.state = 'ERASED' then
        return 'ERASED';
    elsif o.epoch >= p_epoch then
        return 'ACTIVE';
    elsif o.refused_epoch >= p_epoch then
        return 'REFUSED';
    -- This unit notes FENCE before it sends it (punit.fence_begin). Without the note no FENCE was
    -- sent, so nobody can be fenced to this unit, and there is nothing to refuse.
    elsif not exists (select from punit.move m where m.user_id = p_user
                      and m.to_unit = punit.self() and m.from_unit = punit.caller()
                      and m.epoch = p_epoch - 1) then
        perform punit.note_refusal(punit.caller(), 'call', 'resolve-not-fenced',
                                   format('user=%s epoch=%s', p_user, p_epoch));
        return format('VOID: %s sent no FENCE for epoch %s', punit.self(), p_epoch);
    end if;
    return punit.refuse(p_user, p_epoch);
end
$$;
comment on function punit.resolve(uuid, bigint, uuid, uuid) is
    'RESOLVE of the calling unit, which is fenced to this one at this epoch: ACTIVE, REFUSED or'
    ' ERASED; repeatable. It writes only if this unit has noted that FENCE';
grant execute on function punit.resolve(uuid, bigint, uuid, uuid) to punit_peer;

create or replace function punit.settle(p_user uuid, p_unit text, p_epoch bigint, p_answer text)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return case p_answer
        when 'ACTIVE' then punit.retire_to(p_user, p_unit, p_epoch)
        when 'REFUSED' then punit.unfence_from(p_user, p_unit, p_epoch)
        when 'ERASED' then punit.erased_at(p_user, p_unit, p_epoch)
        else 'UNCHANGED' end;
end
$$;
comment on function punit.settle(uuid, text, bigint, text) is
    'the old owner acts on the answer to its RESOLVE';
grant execute on function punit.settle(uuid, text, bigint, text) to punit_mover;

create or replace function punit.hanging(p_older_s double precision)
returns table (user_id uuid, unit text, epoch bigint, age_s double precision)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select h.user_id, h.fence_to, h.fence_epoch,
        extract(epoch from clock_timestamp() - h.touched_at)::double precision
    from (select o.*, row_number() over (partition by o.fence_to order by o.touched_at) as rank
            from punit.own o
           where o.state = 'FENCED'
               and o.touched_at < clock_timestamp() - p_older_s * interval '1 second') h
    where h.rank <= 1000
    order by h.touched_at;
end
$$;
comment on function punit.hanging(double precision) is
    'users fenced here for longer than p_older_s, the oldest 1000 for each new owner, so that one'
    ' unit that is away does not delay the users of the others';
grant execute on function punit.hanging(double precision) to punit_mover;
