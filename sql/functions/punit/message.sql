-- Messages that this unit sends, and the notification when one arrives.

-- ENABLE ALWAYS: it announces messages that the mesh brings, too. It must not raise an error, which
-- would stop the subscription.
create or replace function punit.announce_message() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if new.target_unit = punit.self() then
        perform pg_catalog.pg_notify('punit_inbox', '');
    end if;
    return null;
exception when others then
    raise warning 'message % of % not announced: %', new.seq, new.origin_unit, sqlerrm;
    return null;
end
$$;
comment on function punit.announce_message() is
    'NOTIFY punit_inbox: a message for this unit has come';

create or replace trigger announce after insert on punit.outbox
    for each row execute function punit.announce_message();
alter table punit.outbox enable always trigger announce;

create or replace function punit.send(p_target text, p_kind text, p_user uuid,
                                      p_payload jsonb default '{}') returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, payload)
    values (punit.self(), p_target, p_kind, p_user, p_payload);
end
$$;
comment on function punit.send(text, text, uuid, jsonb) is
    'a message for a unit, sent if this transaction commits';

create or replace function punit.send_to(p_kind text, p_about uuid, p_users uuid[],
                                         p_payload jsonb default '{}') returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- 500 users a message: all of them are locked while it is handled
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
    select punit.self(), m.unit, p_kind, p_about, array_agg(m.user_id order by m.user_id),
           array_agg(m.epoch order by m.user_id), p_payload
      from (select u.id as user_id, w.epoch, t.unit,
                   (row_number() over (partition by t.unit order by u.id) - 1) / 500 as part
              from (select distinct unnest(p_users) as id) u
              cross join lateral punit.owner_of(u.id) w
              -- A user whose owner is unknown waits here until the owner is known.
              cross join lateral (select case
                                  when exists (select from punit.peer p where p.id = w.unit)
                                              then w.unit else punit.self() end as unit) t
             where w.state <> 'ERASED') m
     group by m.unit, m.part;
end
$$;
comment on function punit.send_to(text, uuid, uuid[], jsonb) is
    'a message about a user for users: one row for each unit that owns some of them, this unit'
    ' included (at most 500 users a row); sent if this transaction commits';
grant execute on function punit.send_to(text, uuid, uuid[], jsonb) to punit_social;
