-- Erasure. ERASED is final: the row stays, so that no late PULL, FENCE or REFUSED can bring the user back.

create function punit.erase_user(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    e bigint;
begin
    update punit.own o set state = 'ERASED', ver = o.ver + 1, bump_xid = null, owner_hint = null,
        touched_at = clock_timestamp()
    where o.user_id = p_user and o.state = 'OWNED'
    returning o.epoch into e;
    if not found then
        return false;
    end if;
    perform punit.user_clear(p_user);
    delete from punit.home h where h.user_id = p_user and h.origin_unit = punit.self();
    delete from punit.stay s where s.user_id = p_user;
    delete from punit.local_seen s where s.user_id = p_user;
    perform punit.send(p.id, 'erase', p_user, jsonb_build_object('epoch', e)) from punit.peer p;
    return true;
end
$$;
comment on function punit.erase_user(uuid) is
    'erases a user owned here, with all his rows, and tells every peer; false: not owned here, nothing done';

create function punit.erased(p_user uuid, p_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.own (user_id, state, epoch) values (p_user, 'ERASED', p_epoch)
    on conflict (user_id) do update set state = 'ERASED', epoch = greatest(punit.own.epoch, excluded.epoch),
        fence_to = null, fence_epoch = null, owner_hint = null, touched_at = clock_timestamp();
    perform punit.user_clear(p_user);
    delete from punit.home h where h.user_id = p_user and h.origin_unit = punit.self();
    delete from punit.stay s where s.user_id = p_user;
    delete from punit.local_seen s where s.user_id = p_user;
end
$$;
comment on function punit.erased(uuid, bigint) is
    'effect of the message erase: his owner erased him at this epoch, so whatever is here goes; repeatable';

create function punit.work_off_erasures() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    m punit.outbox;
    n bigint := 0;
begin
    for m in select * from punit.outbox x
              where x.target_unit = punit.self() and x.origin_unit <> punit.self() and x.kind = 'erase'
                and not exists (select from punit.outbox_ack a where a.origin_unit = x.origin_unit
                                  and a.target_unit = x.target_unit and a.seq = x.seq)
              order by x.origin_unit, x.seq limit 1000 loop
        perform punit.erased(m.user_id, coalesce((m.payload ->> 'epoch')::bigint, 0));
        insert into punit.outbox_ack (origin_unit, target_unit, seq) values (m.origin_unit, m.target_unit, m.seq)
        on conflict do nothing;
        n := n + 1;
    end loop;
    -- what the peers have acknowledged is done with
    delete from punit.outbox x using punit.outbox_ack a
     where x.origin_unit = punit.self() and a.origin_unit = x.origin_unit and a.target_unit = x.target_unit and a.seq = x.seq;
    return n;
end
$$;
comment on function punit.work_off_erasures() is
    'erases whom peers erased, acknowledges, and forgets own messages that were acknowledged; called by the mover''s sweeper';

revoke all on function punit.erased(uuid, bigint) from public;
grant execute on function punit.erase_user(uuid) to punit_profile;
grant execute on function punit.work_off_erasures() to punit_mover;
