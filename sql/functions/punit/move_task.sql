-- What the mover reads before it acts on a user.

create or replace function punit.task(p_user uuid, p_unit text default null,
                                      p_epoch bigint default 0)
returns table (state text, epoch bigint, ver bigint, fork uuid, fence_to text, fence_epoch bigint,
               fenced_ms bigint,
               unit text, unit_epoch bigint, here uuid, there uuid, shape text,
               move_id uuid, phase text, asked boolean, move_epoch bigint,
               pass_id uuid, pass_to text, pass_there uuid, pass_paced boolean, cancelled_ms bigint,
                   draining boolean, witness text)
language plpgsql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o punit.own;
    w record;
    m punit.move;
    p punit.move;
begin
    select * into o from punit.own x where x.user_id = p_user;
    select * into w from punit.owner_of(p_user);
    select * into m from punit.move x where x.user_id = p_user and x.to_unit = punit.self()
        and x.finished_at is null;
    select * into p from punit.move x where x.user_id = p_user and x.to_unit <> punit.self()
        and x.finished_at is null
     order by x.started_at limit 1;
    state := coalesce(o.state, 'COPY');
    epoch := coalesce(o.epoch, 0);
    ver := coalesce(o.ver, -1);
    fork := o.fork;
    fence_to := o.fence_to;
    fence_epoch := o.fence_epoch;
    fenced_ms := case when o.state = 'FENCED'
        then extract(epoch from clock_timestamp() - o.touched_at) * 1000 end;
    -- A message that may have been sent binds the move to its unit. Otherwise the highest epoch
    -- names the owner.
    if m.phase in ('fence', 'retire', 'refuse') then
        unit := m.from_unit;
        unit_epoch := m.epoch;
    elsif w.unit is not null and w.unit <> punit.self()
        and (p_unit is null or w.epoch >= coalesce(p_epoch, 0)) then
        unit := w.unit;
        unit_epoch := w.epoch;
    else
        unit := coalesce(p_unit, m.from_unit);
        unit_epoch := p_epoch;
    end if;
    if o.state = 'FENCED' then
        unit := o.fence_to;
    end if;
    select x.incarnation into here from punit.me x;
    there := punit.incarnation_of(unit);
    shape := punit.shape_md5();
    move_id := m.move_id;
    phase := m.phase;
    asked := coalesce(m.asked, false);
    move_epoch := m.epoch;
    pass_id := p.move_id;
    pass_to := p.to_unit;
    pass_there := punit.incarnation_of(p.to_unit);
    pass_paced := coalesce(p.paced, false);
    select extract(epoch from clock_timestamp() - max(x.finished_at)) * 1000 into cancelled_ms
        from punit.move x
     where x.user_id = p_user and x.to_unit = punit.self() and x.cancelled
         and x.finished_at is not null;
    draining := exists (select from punit.drain);
    if state = 'COPY' and unit is not null and m.phase is distinct from 'fence' then
        witness := punit.witness(p_user, unit);
    end if;
    return next;
end
$$;
comment on function punit.task(uuid, text, bigint) is
    'always one row: the user''s state here, the unit to talk to (p_unit, p_epoch: the owner as a'
    ' request or an answer said), both incarnations, the unfinished moves, how long ago (ms) the'
    ' last one was cancelled, whether this unit is drained, so that only requested users may come,'
    ' and who can say that the unit owns the user (punit.witness)';
grant execute on function punit.task(uuid, text, bigint) to punit_mover;

create or replace function punit.unfinished(out user_id uuid, out paced boolean)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select m.user_id, m.paced and m.phase = 'wanted'
    from (select x.*, row_number() over (partition by x.from_unit, x.to_unit order by x.started_at)
          as rank
            from punit.move x where x.finished_at is null and x.phase <> 'copy') m
    where m.rank <= 10000 order by m.started_at;
end
$$;
comment on function punit.unfinished() is
    'users whose move must go on without another request, oldest first, the oldest 10000 of each'
    ' pair of units. paced: background work for which FENCE has not been sent';
grant execute on function punit.unfinished() to punit_mover;

create or replace function punit.tidy(p_window_s double precision) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    update punit.move m set phase = 'done', result = 'copied', finished_at = clock_timestamp()
    where m.finished_at is null and m.phase = 'copy'
      and m.touched_at < clock_timestamp() - p_window_s * interval '1 second';
    get diagnostics n = row_count;
    delete from punit.dedup d where d.created_at < now() - interval '25 hours';
    delete from punit.local_seen s where s.seen_at < now() - interval '1 hour';
    return n;
end
$$;
comment on function punit.tidy(double precision) is
    'closes records of warm copies that led to no move within the window; deletes answers older'
    ' than 24 h and old rows of local_seen';
grant execute on function punit.tidy(double precision) to punit_mover;

create or replace function punit.saw_local(p_users uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.local_seen (user_id, seen_at)
    select distinct u, clock_timestamp() from unnest(p_users) u order by 1
    on conflict (user_id) do update set seen_at = excluded.seen_at;
end
$$;
comment on function punit.saw_local(uuid[]) is
    'these users were just served here on the public side';
grant execute on function punit.saw_local(uuid[]) to punit_mover;
