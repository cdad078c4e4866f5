-- A unit leaves the system (punitctl unit remove). At the unit itself: punit.take_leave, after
-- which it begins nothing and its peers have all that it wrote. At each unit that stays:
-- punit.forget_unit, in one transaction. One of them, the adopter, then becomes the author of what
-- the unit wrote.

create or replace function punit.take_leave() returns table (left_to_do text, n bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_self text := punit.self();
    t      regclass;
begin
    if exists (select from punit.me m where m.left_at is not null) then
        return;
    end if;
    -- Running writers end first and are counted; later writers see that this unit has left. The
    -- worker of the inbox takes its lock before those of users.
    perform pg_advisory_xact_lock(hashtext('punit.work_off'));
    lock table punit.own in share row exclusive mode;
    return query
        select x.*
          from (select 'users owned here',
                count(*) from punit.own o where o.state in ('OWNED', 'FENCED')
                union all
                select 'moves to settle', count(*) from punit.move m
                 where m.finished_at is null and m.phase in ('fence', 'retire', 'refuse')
                union all
                select 'messages not delivered', count(*) from punit.outbox o
                 where o.origin_unit = v_self
                   and not exists (select from punit.outbox_ack a where a.origin_unit = v_self
                                      and a.target_unit = o.target_unit and a.seq = o.seq)
                union all
                select 'messages not worked off', count(*) from punit.outbox o
                 where o.target_unit = v_self and o.origin_unit <> v_self
                   and not exists (select from punit.outbox_ack a
                                   where a.origin_unit = o.origin_unit
                                      and a.target_unit = v_self and a.seq = o.seq)) x (what, n)
         where x.n > 0;
    if found then
        return;
    end if;
    lock table auth.bucket in share row exclusive mode;
    for t in select i.tab from punit.inherited_table i loop
        execute format('lock table %s in share row exclusive mode', t);
    end loop;
    update punit.move m set phase = 'done', result = 'aborted',
        error = v_self || ' leaves the system',
        finished_at = clock_timestamp()
     where m.finished_at is null;
    -- This unit is arbiter of no name: clients that claim one are told to come later, until the
    -- others have dealt the buckets anew.
    delete from auth.bucket;
    update punit.me set left_at = clock_timestamp();
end
$$;
comment on function punit.take_leave() is
    'this unit begins nothing any more, for good. No row: it has left. Rows: what stands in the'
    ' way, and how much of it';

create or replace function punit.owned_by(p_unit text) returns bigint
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select count(*)
      from (select h.user_id from punit.home h
             where h.origin_unit = p_unit
               and not exists (select from punit.home k where k.user_id = h.user_id
                               and k.epoch > h.epoch)
               and not exists (select from punit.own o where o.user_id = h.user_id
                                  and (o.state = 'ERASED' or o.state = 'OWNED'
                                       and o.epoch > h.epoch))
            union
            select o.user_id from punit.own o
             where o.state = 'FENCED' and o.fence_to = p_unit
                or o.state = 'COPY' and o.owner_hint = p_unit
                   and not exists (select from punit.home k where k.user_id = o.user_id
                                   and k.epoch > o.epoch
                                      and k.origin_unit <> p_unit)) u
$$;
comment on function punit.owned_by(text) is 'how many users a unit owns, as far as this unit knows';

create or replace function punit.heard(p_unit text, out lsn pg_lsn, out busy boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select (select o.remote_lsn from pg_subscription s join pg_replication_origin_status o
            on o.external_id = 'pg_' || s.oid
             where s.subname = 'punit_from_' || p_unit),
           -- A subscription that cannot connect has received nothing yet: -infinity.
           exists (select from pg_stat_subscription w where w.subname = 'punit_from_' || p_unit
                   and w.pid is not null
                      and w.last_msg_receipt_time > '2000-01-01')
$$;
comment on function punit.heard(text) is
    'the position up to which this unit has what a unit wrote (null: it has no subscription), and'
    ' whether more may come';
grant execute on function punit.heard(text) to punit_peer;

create or replace function punit.adopter_of(p_unit text) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select a.origin_unit from punit.unit u
      join punit.unit a on a.id = u.id and a.incarnation = u.incarnation and a.origin_unit <> u.id
     where u.origin_unit = p_unit and u.id = p_unit and a.retired_at is not null
     order by a.origin_unit collate "C" limit 1
$$;
comment on function punit.adopter_of(text) is
    'the unit that has adopted what p_unit wrote; null: this unit has heard of none. An adopter'
    ' named here has sent all adopted rows before';

create or replace function punit.adopt(p_unit text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_self text := punit.self();
    v_all  bigint := 0;
    r      record;
    n      bigint;
begin
    if exists (select from pg_subscription s join pg_subscription_rel t on t.srsubid = s.oid
                where s.subname = 'punit_from_' || p_unit and t.srsubstate <> 'r') then
        raise exception 'not all rows of % were copied here yet', p_unit using errcode = 'PU409';
    end if;
    -- First: the rules of the peers (wall.sql) let an adopter write what the unit might write. The
    -- peers see it together with the other rows.
    insert into punit.unit (origin_unit, id, incarnation, joined_at, retired_at)
    select v_self, u.id, u.incarnation, u.joined_at, coalesce(u.retired_at, clock_timestamp())
      from punit.unit u where u.origin_unit = p_unit and u.id <> v_self
    on conflict (origin_unit, id) do update set incarnation = excluded.incarnation,
        retired_at = excluded.retired_at;
    for r in
        select t.tab, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
               string_agg(case when a.attname = 'origin_unit' then '$1'
                          else quote_ident(a.attname) end, ', '
                          order by a.attnum) as given,
               string_agg(quote_ident(a.attname),
                          ', ' order by array_position(i.indkey::smallint[], a.attnum))
                   filter (where a.attnum = any (i.indkey)) as key
          from punit.inherited_table t
          join pg_attribute a on a.attrelid = t.tab and a.attnum > 0 and not a.attisdropped
              and a.attgenerated = ''
          join pg_index i on i.indrelid = t.tab and i.indisprimary
         group by t.tab
    loop
        -- Of two rows with one key the own one stays.
        execute format('insert into %s (%s) select %s from %s where origin_unit = $2 on'
                       ' conflict (%s) do nothing',
                       r.tab, r.columns, r.given, r.tab, r.key) using v_self, p_unit;
        get diagnostics n = row_count;
        v_all := v_all + n;
    end loop;
    return v_all;
end
$$;
comment on function punit.adopt(text) is
    'makes this unit the author of what another wrote: reference rows, login names, ended tokens;'
    ' says how many';

create or replace function punit.send_again(p_unit text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_self text := punit.self();
    n      bigint := 0;
    m      punit.outbox;
begin
    -- Messages of the unit that this one has not handled yet: this unit sends them to itself, if
    -- the unit may send them. Its directory, by which that is judged, goes now.
    insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
    select v_self, v_self, o.kind, o.user_id, o.users, o.epochs, o.payload
      from punit.outbox o
      left join punit.message_handler h on h.kind = o.kind
     where coalesce(h.says, 'owner') <> 'self'
       and (o.user_id is null
            or punit.speaks_for(coalesce(o.payload ->> 'punit_first', p_unit), o.user_id))
       and o.origin_unit = p_unit and o.target_unit = v_self
       and not exists (select from punit.outbox_ack a where a.origin_unit = p_unit
                       and a.target_unit = v_self and a.seq = o.seq)
     order by o.seq;
    get diagnostics n = row_count;
    -- Messages for users there go to the units where the users are now. Messages for the unit alone
    -- are void.
    for m in select * from punit.outbox o
              where o.origin_unit = v_self and o.target_unit = p_unit and o.users is not null
                and not exists (select from punit.outbox_ack a where a.origin_unit = v_self
                                and a.target_unit = p_unit
                                   and a.seq = o.seq)
              order by o.seq loop
        perform punit.send_to(m.kind, m.user_id, m.users, m.payload);
        n := n + 1;
    end loop;
    delete from punit.outbox o where p_unit in (o.origin_unit, o.target_unit);
    delete from punit.outbox_ack a where p_unit in (a.origin_unit, a.target_unit);
    delete from punit.inbox_late l where l.origin_unit = p_unit and l.given_up is null;
    return n;
end
$$;
comment on function punit.send_again(text) is
    'messages from and to a unit that has left; says how many had not had their effect';

create or replace function punit.forget_unit(p_unit text, p_adopt boolean)
returns table (adopted bigint, messages bigint, moves bigint, buckets bigint, removed bigint)
language plpgsql volatile rows 1 set search_path = pg_catalog, pg_temp
-- As in replication: the guards of reference rows do not fire, and the generations rise.
set session_replication_role = replica
as $$
declare
    v_self    text := punit.self();
    v_adopter text := punit.adopter_of(p_unit);
    m         record;
    n         bigint;
begin
    adopted := 0;
    removed := 0;
    perform pg_advisory_xact_lock(hashtext('punit.work_off'));
    if p_adopt then
        if v_adopter <> v_self then
            raise exception '% has adopted what % wrote', v_adopter, p_unit using errcode = 'PU409';
        end if;
        adopted := punit.adopt(p_unit);
        v_adopter := v_self;
    elsif v_adopter is null then
        raise exception 'nobody has adopted what % wrote', p_unit using errcode = 'PU409';
    end if;
    perform set_config('punit.home_forgotten', 'on', true);
    messages := punit.send_again(p_unit);
    update punit.move x set phase = 'done', finished_at = clock_timestamp(),
        error = p_unit || ' has left the system',
        result = case x.phase when 'retire' then 'moved' when 'refuse' then 'refused'
            else 'aborted' end
     where x.finished_at is null and p_unit in (x.from_unit, x.to_unit);
    get diagnostics moves = row_count;
    -- A name claimed there for an account that was never made is completed where its arbiter is
    -- now.
    update auth.name x set unit = v_self
     where x.origin_unit = v_self and x.unit = p_unit
       and not exists (select from punit.home h where h.user_id = x.user_id
                       and h.origin_unit <> p_unit)
       and not exists (select from punit.own o where o.user_id = x.user_id and o.state <> 'COPY');
    lock table auth.bucket in exclusive mode;
    with holder as (
        select h.unit, row_number() over (order by h.unit collate "C") - 1 as i,
            count(*) over () as n
          from (select b.unit from auth.bucket b where b.unit <> p_unit
                union select v_adopter where
                    not exists (select from auth.bucket b where b.unit <> p_unit)) h),
    loose as (
        select b.bucket, row_number() over (order by b.bucket) - 1 as i from auth.bucket b
            where b.unit = p_unit)
    update auth.bucket b set unit = h.unit from loose l join holder h on h.i = l.i % h.n
        where b.bucket = l.bucket;
    get diagnostics buckets = row_count;
    -- The adopter has names where the unit was the arbiter.
    insert into punit.name_author (bucket, unit)
    select a.bucket, v_adopter from punit.name_author a where a.unit = p_unit
    on conflict do nothing;
    delete from punit.name_author a where a.unit = p_unit;
    update punit.own o set owner_hint = null where o.state = 'COPY' and o.owner_hint = p_unit;
    update punit.drain set to_unit = null where to_unit = p_unit;
    delete from punit.drain_user d where d.to_unit = p_unit;
    for m in select x.tab, x.filter from punit.mesh_plan(p_unit, null) x
        where x.tab <> all ('{punit.unit_key,punit.unit_key_end}'::regclass[]) loop
        execute format('delete from %s where %s', m.tab, m.filter);
        get diagnostics n = row_count;
        removed := removed + n;
    end loop;
    -- The sums must not fall: documents from before would count as current.
    with gone as (delete from punit.generation g where g.origin_unit = p_unit returning g.service,
                  g.gen)
    insert into punit.generation as g (service, origin_unit, gen) select x.service, v_self,
        x.gen from gone x
    on conflict (service, origin_unit) do update set gen = g.gen + excluded.gen;
    return next;
end
$$;
comment on function punit.forget_unit(text, boolean) is
    'removes all that a unit wrote (p_adopt: after this unit became its author) and deals its'
    ' buckets to the other holders, the same everywhere. Its public keys stay: punit.left_keys';
