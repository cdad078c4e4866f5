-- Messages that this unit sends, and what happens when one arrives.

-- ENABLE ALWAYS: it takes messages that the mesh brings, too. It must not raise an error, which
-- would stop the subscription. What it misses, punit.inbox_tidy finds.
create or replace function punit.announce_message() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
begin
    if new.target_unit = punit.self()
        and not exists (select from punit.outbox_ack a where a.origin_unit = new.origin_unit
                           and a.target_unit = new.target_unit and a.seq = new.seq) then
        insert into punit.inbox (class, origin_unit, seq)
        values (coalesce((select h.class from punit.message_handler h where h.kind = new.kind), 2),
                new.origin_unit, new.seq)
        on conflict do nothing;
        perform pg_catalog.pg_notify('punit_inbox', '');
    end if;
    return null;
exception when others then
    raise warning 'message % of % not announced: %', new.seq, new.origin_unit, sqlerrm;
    return null;
end
$$;
comment on function punit.announce_message() is
    'puts a message for this unit into the queue, and wakes the inbox (NOTIFY punit_inbox)';

create or replace trigger announce after insert on punit.outbox
    for each row execute function punit.announce_message();
alter table punit.outbox enable always trigger announce;

create or replace function punit.take_ack() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if new.origin_unit = punit.self() then
        insert into punit.outbox_done (target_unit, seq) values (new.target_unit, new.seq)
        on conflict do nothing;
    end if;
    return null;
exception when others then
    raise warning 'acknowledgement of message % by % not taken: %', new.seq, new.target_unit,
        sqlerrm;
    return null;
end
$$;
comment on function punit.take_ack() is
    'notes that a message of this unit can be deleted; as announce_message, it raises no error';

create or replace trigger take_ack after insert on punit.outbox_ack
    for each row execute function punit.take_ack();
alter table punit.outbox_ack enable always trigger take_ack;

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

create or replace function punit.send_latest(p_kind text, p_about uuid, p_user uuid,
                                             p_payload jsonb, p_same jsonb default '{}')
returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from punit.outbox x
     where x.user_id = p_about and x.kind = p_kind and cardinality(x.users) = 1
       and x.users[1] = p_user and x.origin_unit = punit.self() and x.payload @> p_same;
    perform punit.send_to(p_kind, p_about, array[p_user], p_payload);
end
$$;
comment on function punit.send_latest(text, uuid, uuid, jsonb, jsonb) is
    'a message with the state of one user towards another, for a handler that keeps the highest'
    ' ver. It replaces those of its kind with p_same in the payload that are under way. Call it'
    ' after the bump of p_about or p_user, whoever''s state it is';
grant execute on function punit.send_latest(text, uuid, uuid, jsonb, jsonb) to punit_social;
