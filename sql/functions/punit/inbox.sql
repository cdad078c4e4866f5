-- The inbox: one worker (of punit-mover) handles the messages for this unit, by class, and by turns
-- of the origins. Each message runs in a subtransaction of its own with its acknowledgement. A
-- message that fails is noted and tried again later, and does not stop those behind it. So handlers
-- accept messages in any order: a message carries the ver of its subject.
--
-- What a peer says is not believed: punit.message_handler.says names who may send a kind, and
-- punit.speaks_for decides. A message that a unit passes on, or keeps for a user on the way, names
-- its first sender (punit_first), whose rights it keeps.

create or replace function punit.check_message(m punit.outbox, p_says text, p_first text)
returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_speaks boolean;
begin
    if jsonb_typeof(m.payload) <> 'object' or cardinality(m.users) > 500
        or pg_column_size(m.payload) > 100000 then
        perform punit.refuse_message('size', 'kind=' || m.kind);
    elsif p_says = 'self' then
        perform punit.refuse_message('self-only', format('kind=%s user=%s', m.kind, m.user_id));
    elsif m.user_id is not null then
        v_speaks := punit.speaks_for(p_first, m.user_id);
        if not v_speaks then
            perform punit.refuse_message('not-the-owner', format('kind=%s user=%s sender=%s',
                m.kind, m.user_id, p_first));
        end if;
    else
        v_speaks := true;
    end if;
    return v_speaks;
end
$$;
comment on function punit.check_message(punit.outbox, text, text) is
    'whether a peer may send this message; null: not known yet. It ends a message that the peer may'
    ' not send';

create or replace function punit.handle_message(m punit.outbox) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    h       punit.message_handler;
    o       record;
    v_ver   bigint;
    v_again boolean := false;
    v_wait  uuid[] := '{}';
    v_since bigint[] := '{}';
    v_self  text := punit.self();
    v_first text := coalesce(m.payload ->> 'punit_first', m.origin_unit);
    v_keep  jsonb := '{}';
    v_fn    text;
begin
    select * into h from punit.message_handler x where x.kind = m.kind;
    if not found then
        raise exception 'no handler for messages of kind %', m.kind using errcode = 'PU500';
    end if;
    if not h.outlives and exists (select from punit.own x where x.user_id = m.user_id
                                  and x.state = 'ERASED') then
        return false;
    end if;
    if m.origin_unit <> v_self and punit.check_message(m, h.says, v_first) is null then
        return true;
    end if;
    v_fn := punit.registered(h.fn, '(uuid, bigint, uuid, jsonb)');
    perform set_config('punit.sender', v_first, true);
    if v_first <> v_self or m.payload ? 'punit_first' then
        v_keep := jsonb_build_object('punit_first', v_first);
    end if;
    if m.users is null then
        execute format('select %s($1, $2, $3, $4)', v_fn) into v_again
            using null::uuid, null::bigint, m.user_id, m.payload;
        return coalesce(v_again, false);
    end if;
    for i in 1 .. cardinality(m.users) loop
        -- Only a unit that the user was at, or was to go to, passes on what another unit sent.
        if m.origin_unit not in (v_self, v_first)
            and punit.speaks_for(m.origin_unit, m.users[i]) is not true
            and punit.home_of(m.origin_unit, m.users[i]) is null then
            perform punit.refuse_message('passed-on', format('kind=%s user=%s for=%s first=%s',
                m.kind, m.user_id, m.users[i], v_first));
        end if;
        select b.ver into v_ver from punit.bump(m.users[i]) b;
        if found then
            execute format('select %s($1, $2, $3, $4)', v_fn) using m.users[i], v_ver, m.user_id,
                m.payload;
            continue;
        end if;
        select * into o from punit.owner_of(m.users[i]);
        if o.state = 'ERASED' then
            continue;
        elsif m.epochs[i] > o.epoch + punit.epoch_room() then
            -- It would wait for that epoch for ever.
            perform punit.refuse_message('epoch', format('kind=%s user=%s for=%s epoch=%s',
                m.kind, m.user_id, m.users[i], m.epochs[i]));
        elsif o.epoch > m.epochs[i] and exists (select from punit.peer p where p.id = o.unit) then
            insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs,
                                      payload)
            values (v_self, o.unit, m.kind, m.user_id, array[m.users[i]], array[o.epoch],
                    m.payload || v_keep);
        else
            -- The user is on the way here, or this unit knows nothing of the user yet.
            v_wait := v_wait || m.users[i];
            v_since := v_since || m.epochs[i];
        end if;
    end loop;
    if cardinality(v_wait) = 0 then
        return false;
    elsif m.origin_unit = v_self and cardinality(v_wait) = cardinality(m.users) then
        return true;
    end if;
    -- The other users have been told: these wait in a message of this unit to itself.
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
    values (v_self, v_self, m.kind, m.user_id, v_wait, v_since, m.payload || v_keep);
    return false;
end
$$;
comment on function punit.handle_message(punit.outbox) is
    'the effect of a message. Users owned here are told, users who moved on get it passed on,'
    ' users on their way keep it. True: not done yet, call again later';

-- The queues grow faster than the planner's statistics. A plan for a short queue reads a long one
-- as a whole, so these functions tell the planner to walk the indexes.
create or replace function punit.next_messages()
returns table (class smallint, origin_unit text, seq bigint, came_at timestamptz, m punit.outbox)
language sql stable rows 100 security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
    -- The lines that are not empty, by one descent of the index each.
    with recursive line (class, origin_unit) as (
        (select q.class, q.origin_unit from punit.inbox q order by q.class, q.origin_unit limit 1)
        union all
        select n.class, n.origin_unit
          from line l
          cross join lateral (
              select q.class, q.origin_unit from punit.inbox q
               where (q.class, q.origin_unit) > (l.class, l.origin_unit)
               order by q.class, q.origin_unit limit 1) n)
    select x.class, x.origin_unit, x.seq, x.came_at, o.m
      from (select f.class, f.origin_unit, f.seq, f.came_at,
                   row_number() over (partition by f.class, f.origin_unit order by f.seq) as place
              from line
              cross join lateral (
                  select q.* from punit.inbox q
                   where q.class = line.class and q.origin_unit = line.origin_unit
                   order by q.seq limit 30) f
            union all
            select t.class, t.origin_unit, t.seq, t.came_at,
                   row_number() over (partition by t.class order by t.due_at)
              from (values (1::smallint), (2::smallint), (3::smallint)) c (class)
              cross join lateral (
                  select l.class, l.origin_unit, l.seq, l.came_at, l.due_at
                    from punit.inbox_late l
                   where l.class = c.class and l.given_up is null and l.due_at <= clock_timestamp()
                   order by l.due_at limit 30) t) x
      -- limit: else the planner may hash the whole table, because it expects many lines
      left join lateral (
          select y as m from punit.outbox y
           where y.origin_unit = x.origin_unit and y.target_unit = punit.self() and y.seq = x.seq
           limit 1) o on true
     order by case x.class when 1 then 0 else x.place * (x.class - 1) end, x.class, x.place,
              x.origin_unit
$$;
comment on function punit.next_messages() is
    'the messages whose turn is next: class 1 first, then two of class 2 for each of class 3, and'
    ' within a class one of each origin in turn. m null: the message was taken back';

create or replace function punit.work_off(p_ms int default 20)
returns table (done bigint, failed bigint, waiting bigint)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    r       record;
    m       punit.outbox;
    v_self  text := punit.self();
    v_end   timestamptz := clock_timestamp() + p_ms * interval '1 millisecond';
    v_error text;
    v_state text;
    v_what  text;
    v_refused text;
    v_again boolean;
    v_tries int;
begin
    done := 0;
    failed := 0;
    waiting := 0;
    -- one session at a time
    perform pg_advisory_xact_lock(hashtext('punit.work_off'));
    if exists (select from punit.me x where x.left_at is not null) then
        -- The sender takes the message back and sends it to others. If this unit passed it on, it
        -- could come too late.
        return next;
        return;
    end if;
    -- Delete messages that the peers have acknowledged.
    with gone as (
        delete from punit.outbox_done d
         where d.ctid = any (array(select e.ctid from punit.outbox_done e limit 500))
        returning d.target_unit, d.seq)
    delete from punit.outbox x using gone g
     where x.origin_unit = v_self and x.target_unit = g.target_unit and x.seq = g.seq;
    for r in select n.* from punit.next_messages() n loop
        m := r.m;
        v_error := null;
        v_refused := null;
        v_again := false;
        begin
            if m.seq is not null then
                v_again := punit.handle_message(m);
            end if;
        exception when others then
            get stacked diagnostics v_error = message_text, v_state = returned_sqlstate,
                v_what = pg_exception_detail;
        end;
        if v_error is not null and v_state = 'PU403' then
            -- The sender deletes it when it reads the acknowledgement.
            perform punit.note_refusal(case when m.origin_unit = v_self
                then coalesce(m.payload ->> 'punit_first', v_self) else m.origin_unit end,
                'message', v_error, v_what);
            v_refused := 'refused: ' || v_error;
            v_error := null;
            v_again := false;
        end if;
        delete from punit.inbox q
         where q.class = r.class and q.origin_unit = r.origin_unit and q.seq = r.seq;
        if v_error is null and not v_again then
            delete from punit.inbox_late l where l.origin_unit = r.origin_unit and l.seq = r.seq;
            done := done + 1;
            if m.seq is not null then
                perform punit.message_done(m, v_refused);
            end if;
        else
            insert into punit.inbox_late as l (origin_unit, seq, kind, user_id, tries, due_at,
                                               error, class, came_at)
            values (m.origin_unit, m.seq, m.kind, m.user_id, 1,
                    clock_timestamp() + interval '100 ms', v_error, r.class, r.came_at)
            on conflict (origin_unit, seq) do update
                set tries = l.tries + 1, error = excluded.error,
                    -- A user on the way comes soon; a failure gets more time.
                    due_at = clock_timestamp() + least(interval '100 ms' * power(2,
                        least(l.tries, 20)),
                        case when v_error is null then interval '2 s' else interval '1 hour' end)
            returning l.tries into v_tries;
            if v_error is null then
                waiting := waiting + 1;
            else
                failed := failed + 1;
                raise warning 'message % of %, kind %: % (%)', m.seq, m.origin_unit, m.kind,
                    v_error, v_state;
            end if;
            if v_error is not null and v_tries >= 20 then
                update punit.inbox_late l set given_up = to_jsonb(m)
                    where l.origin_unit = m.origin_unit and l.seq = m.seq;
                perform punit.message_done(m, v_error);
            end if;
        end if;
        exit when clock_timestamp() >= v_end;
    end loop;
    return next;
end
$$;
comment on function punit.work_off(int) is
    'handles messages for this unit for about p_ms milliseconds (what it bumps stays locked until'
    ' it commits), acknowledges them, and deletes own messages that were acknowledged. Call it'
    ' again while done or failed is not 0';
grant execute on function punit.work_off(int) to punit_mover;

create or replace function punit.message_done(m punit.outbox, p_error text) returns void
language plpgsql volatile
as $$
begin
    if m.origin_unit = m.target_unit then
        delete from punit.outbox x where x.origin_unit = m.origin_unit
            and x.target_unit = m.target_unit and x.seq = m.seq;
    else
        insert into punit.outbox_ack (origin_unit, target_unit, seq, error)
        values (m.origin_unit, m.target_unit, m.seq, p_error) on conflict do nothing;
    end if;
end
$$;
comment on function punit.message_done(punit.outbox, text) is
    'ends a message: one of this unit is deleted, one of a peer is acknowledged';

create or replace function punit.inbox_tidy() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_self text := punit.self();
begin
    -- An acknowledgement goes once its message is gone.
    delete from punit.outbox_ack a
     where a.target_unit = v_self and a.acked_at < now() - interval '1 hour'
       and not exists (select from punit.outbox x where x.origin_unit = a.origin_unit
                          and x.target_unit = a.target_unit and x.seq = a.seq);
    -- also of messages that their origin took back
    delete from punit.inbox_late l
     where case when l.given_up is null
                then not exists (select from punit.outbox x where x.origin_unit = l.origin_unit
                                    and x.target_unit = v_self and x.seq = l.seq)
                else l.due_at < now() - interval '30 days' end;
    delete from punit.former_home f
     where f.ended_at < now() - interval '1 day'
       and not exists (select from punit.outbox x where x.user_id = f.user_id
                          and x.kind = 'erase');
    if exists (select from punit.inbox) then
        return;
    end if;
    -- Messages from before these queues, and any that a trigger failed to put there.
    insert into punit.inbox (class, origin_unit, seq)
    select coalesce(h.class, 2), o.origin_unit, o.seq
      from punit.outbox o
      left join punit.message_handler h on h.kind = o.kind
     where o.target_unit = v_self
       and not exists (select from punit.outbox_ack a where a.origin_unit = o.origin_unit
                          and a.target_unit = v_self and a.seq = o.seq)
       and not exists (select from punit.inbox_late l where l.origin_unit = o.origin_unit
                          and l.seq = o.seq)
    on conflict do nothing;
    insert into punit.outbox_done (target_unit, seq)
    select o.target_unit, o.seq
      from punit.outbox o
      join punit.outbox_ack a using (origin_unit, target_unit, seq)
     where o.origin_unit = v_self
    on conflict do nothing;
end
$$;
comment on function punit.inbox_tidy() is
    'deletes notes of messages that no longer exist, and of homes that no message erase needs.'
    ' While the inbox is empty, it also looks for messages that are not in the queue';
grant execute on function punit.inbox_tidy() to punit_mover;

create or replace view punit.inbox_backlog as
    select q.class, q.origin_unit, count(*) as messages,
           extract(epoch from clock_timestamp() - min(q.came_at))::numeric(12, 1) as oldest_s
      from punit.inbox q
     group by 1, 2;
comment on view punit.inbox_backlog is
    'the messages for this unit that wait for their turn, and the age of the oldest, by class and'
    ' origin; for the operator';

create or replace function punit.hear_erase(p_user uuid, p_ver bigint, p_about uuid,
                                            p_payload jsonb) returns boolean
language plpgsql volatile
as $$
declare
    o       punit.own;
    v_from  text := punit.sender();
    v_self  text := punit.self();
    v_epoch bigint := coalesce((p_payload ->> 'epoch')::bigint, 0);
    v_other bigint;
    v_what  text := format('user=%s epoch=%s', p_about, p_payload ->> 'epoch');
begin
    select * into o from punit.own x where x.user_id = p_about for no key update;
    if o.state = 'ERASED' then
        return false;
    elsif p_about is null or o.state = 'OWNED' then
        -- An owner that erased the user cannot have handed the user over.
        perform punit.refuse_message('erase-owned-here', v_what);
    elsif v_epoch < greatest(o.epoch, o.fence_epoch, 1)
        or v_from <> v_self and v_epoch > punit.home_of(v_from, p_about) then
        perform punit.refuse_message('erase-epoch', v_what);
    elsif o.state = 'FENCED' and o.fence_to <> v_from then
        return true;
    elsif o.state is distinct from 'FENCED' then
        -- Each unit that owned the user deletes its row of the directory when its own row lets it
        -- erase the user. Those that came after this one have to agree. Their order is that of
        -- the epochs, so none waits for one that waits for it.
        select max(h.epoch) into v_other from punit.home h
         where h.user_id = p_about and h.origin_unit not in (v_self, v_from)
           and h.epoch >= coalesce(o.epoch, 0);
        if v_other >= v_epoch then
            perform punit.refuse_message('erase-epoch', v_what);
        elsif v_other is not null then
            -- A copy can be had again, so it goes at once.
            if o.fork is not null then
                perform punit.drop_copy(p_about);
            end if;
            return true;
        end if;
    end if;
    perform punit.erased(p_about, v_epoch);
    return false;
end
$$;
comment on function punit.hear_erase(uuid, bigint, uuid, jsonb) is
    'message erase. The rows here decide: never of a user owned here, and at the epoch of the'
    ' sender''s term, which no other term follows. True: an owner before the sender has not agreed'
    ' yet, and only the copy here is gone';

create or replace function punit.hear_forget(p_user uuid, p_ver bigint, p_about uuid,
                                             p_payload jsonb) returns boolean
language sql volatile
as $$ select punit.forget(p_about) $$;
comment on function punit.hear_forget(uuid, bigint, uuid, jsonb) is
    'message forget, from this unit to itself';

create or replace function punit.forget_messages(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from punit.inbox_late l
     where (l.user_id = p_user and l.kind
            not in (select h.kind from punit.message_handler h where h.outlives))
        or l.given_up::text like '%' || p_user || '%';
    -- passed on here after the erasure, before this unit heard of it
    delete from punit.outbox x
     where x.origin_unit = punit.self() and x.user_id = p_user
       and x.kind not in (select h.kind from punit.message_handler h where h.outlives);
    update punit.outbox x
       set users = k.users, epochs = k.epochs
      from (select y.origin_unit, y.target_unit, y.seq,
                   coalesce(array_agg(u.id order by u.n) filter (where u.id <> p_user), '{}')
                       as users,
                   coalesce(array_agg(u.epoch order by u.n) filter (where u.id <> p_user), '{}')
                       as epochs
              from punit.outbox y cross join unnest(y.users, y.epochs) with ordinality u (id, epoch,
                  n)
             where y.origin_unit = punit.self() and p_user = any (y.users)
             group by y.origin_unit, y.target_unit, y.seq) k
     where x.origin_unit = k.origin_unit and x.target_unit = k.target_unit and x.seq = k.seq;
    return false;
end
$$;
comment on function punit.forget_messages(uuid) is
    'removes messages of this unit about an erased user, and the user among the recipients of'
    ' others';
