-- Erasure. ERASED is final: the row stays, so that no late PULL, FENCE or REFUSED can bring the
-- user back. The user's own rows go at once, here and (by the message erase) in each unit with a
-- copy. What other rows say of the user goes by the message forget, which each unit sends to
-- itself, because it locks those other users.

create or replace function punit.forget_moves(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- A move that may have told another unit something is left to the mover, which ends it.
    update punit.move m set phase = 'done', result = 'erased', finished_at = clock_timestamp()
     where m.user_id = p_user and m.phase in ('wanted', 'copy', 'pass');
    delete from punit.move m where m.user_id = p_user and m.finished_at is not null;
    delete from punit.home h where h.user_id = p_user and h.origin_unit = punit.self();
    delete from punit.former_home h where h.user_id = p_user;
    delete from punit.stay s where s.user_id = p_user;
    delete from punit.local_seen s where s.user_id = p_user;
    return exists (select from punit.move m where m.user_id = p_user);
end
$$;
comment on function punit.forget_moves(uuid) is
    'removes the records of where an erased user was and went; true: a move is still to end';

create or replace function punit.erase_user(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    e bigint;
    f text;
begin
    perform from punit.own o where o.user_id = p_user and o.state = 'OWNED' for update;
    if not found then
        return false;
    end if;
    -- Messages about the user that are not delivered yet; the mesh removes the copies that arrived.
    delete from punit.outbox x where x.origin_unit = punit.self() and x.user_id = p_user;
    for f in select punit.registered(x.fn, '(uuid)') from punit.forgetter x
              where x.before order by x.fn loop
        execute format('select %s($1)', f) using p_user;
    end loop;
    update punit.own o set state = 'ERASED', ver = o.ver + 1, bump_xid = null, owner_hint = null,
        touched_at = clock_timestamp()
    where o.user_id = p_user
    returning o.epoch into e;
    perform punit.user_clear(p_user);
    perform punit.forget_moves(p_user);
    perform punit.send(p.id, 'erase', p_user, jsonb_build_object('epoch', e)) from punit.peer p;
    perform punit.send(punit.self(), 'forget', p_user);
    return true;
end
$$;
comment on function punit.erase_user(uuid) is
    'erases a user owned here, with all rows of the user, and tells every peer; false: not owned'
    ' here, nothing done';
grant execute on function punit.erase_user(uuid) to punit_profile;

create or replace function punit.erased(p_user uuid, p_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.own (user_id, state, epoch) values (p_user, 'ERASED', p_epoch)
    on conflict (user_id) do update set state = 'ERASED',
        epoch = greatest(punit.own.epoch, excluded.epoch),
        fence_to = null, fence_epoch = null, owner_hint = null, touched_at = clock_timestamp();
    perform punit.user_clear(p_user);
    perform punit.forget_moves(p_user);
    perform punit.send(punit.self(), 'forget', p_user);
end
$$;
comment on function punit.erased(uuid, bigint) is
    'effect of the message erase: the owner erased the user at this epoch, so all rows here go;'
    ' repeatable';

create or replace function punit.erased_at(p_user uuid, p_unit text, p_epoch bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from punit.own o where o.user_id = p_user and o.state = 'FENCED'
        and o.fence_to = p_unit and o.fence_epoch = p_epoch for no key update;
    if not found then
        return 'UNCHANGED';
    end if;
    perform punit.erased(p_user, p_epoch);
    return 'ERASED';
end
$$;
comment on function punit.erased_at(uuid, text, bigint) is
    'FENCED to this unit at this epoch -> ERASED: that unit, or one that it gave the user to,'
    ' erased the user; any other state stays as it is';

create or replace function punit.forget(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    f    text;
    v    boolean;
    more boolean := false;
begin
    if not exists (select from punit.own o where o.user_id = p_user and o.state = 'ERASED') then
        raise exception 'user % is not erased', p_user using errcode = 'PU500';
    end if;
    for f in select punit.registered(x.fn, '(uuid)') from punit.forgetter x
              where not x.before order by x.fn loop
        execute format('select %s($1)', f) into v using p_user;
        more := more or v;
    end loop;
    return more;
end
$$;
comment on function punit.forget(uuid) is
    'removes what this unit holds of an erased user outside the user''s rows, in parts; true:'
    ' there is more';

create or replace function punit.forget_again() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    -- A user who was between two units at that time may have brought rows about the erased user
    -- since.
    select punit.forget(o.user_id) from punit.own o
     where o.state = 'ERASED' and o.touched_at > now() - interval '1 day'
$$;
comment on function punit.forget_again() is
    'removes it again for users erased within a day; the worker of the inbox calls it now and then';
grant execute on function punit.forget_again() to punit_mover;
