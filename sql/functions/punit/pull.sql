-- PULL at the old owner S, and the final read after FENCE. The new owner T sends one simple query:
--   begin isolation level repeatable read read only; select * from punit.pull(...);
--   copy ...; copy ...;
--   select * from punit.pulled(); commit
-- punit.pull decides what the COPYs give, through the settings punit.user and punit.base.
-- punit.pulled computes the digest, and the reference values that T must have, while T inserts the
-- rows. After FENCE the rows are few and the user waits: then punit.pull gives them itself, from
-- kept plans, where PostgreSQL would plan a dozen COPYs.

create or replace function punit.void(p_from uuid, p_to uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    caller   text := punit.caller();
    sends_as uuid := punit.incarnation_of(caller);
begin
    return case
        when caller is null then 'not a session of a unit'
        when p_to is distinct from (select m.incarnation from punit.me m)
            then 'meant for another incarnation of ' || punit.self()
        when sends_as is null then punit.self() || ' does not know ' || caller
        when p_from is distinct from sends_as then 'from another incarnation of ' || caller
    end;
end
$$;
comment on function punit.void(uuid, uuid) is
    'why a message from the caller''s incarnation p_from to this unit''s incarnation p_to is void;'
    ' null: it is good';

create or replace function punit.wait_left(p_user uuid, p_quiet_ms bigint, p_dwell boolean,
                                           out wait_ms bigint, out seen_ms bigint, out why text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t     timestamptz := clock_timestamp();
    quiet bigint := 0;
    dwell bigint := 0;
begin
    select greatest(extract(epoch from t - s.seen_at) * 1000, 0) into seen_ms
        from punit.local_seen s where s.user_id = p_user;
    if seen_ms is not null then
        quiet := greatest(p_quiet_ms - seen_ms, 0);
    end if;
    if p_dwell then
        select greatest((s.dwell_s - extract(epoch from t - s.since)) * 1000, 0)::bigint into dwell
          from punit.stay s where s.user_id = p_user;
        dwell := coalesce(dwell, 0);
    end if;
    wait_ms := greatest(quiet, dwell);
    why := case when wait_ms = 0 then null when quiet >= dwell then 'quiet' else 'dwell' end;
end
$$;
comment on function punit.wait_left(uuid, bigint, boolean) is
    'how long (ms) until the user has been quiet here for p_quiet_ms and has stayed long enough;'
    ' seen_ms: time since the user was last seen here';

create or replace function punit.more_rows(p_user uuid, p_base bigint, p_most bigint)
returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if punit.user_rows(p_user, p_base, p_most + 1) > p_most then
        return true;
    elsif p_base >= 0 then
        return false;
    end if;
    -- A unit without a copy needs all of these, too.
    return p_most < (select count(*)
                     from ((select from punit.tomb t where t.user_id = p_user limit p_most + 1)
                                           union all (select from punit.dedup d
                                               where d.user_id = p_user limit p_most + 1)) x);
end
$$;
comment on function punit.more_rows(uuid, bigint, bigint) is
    'whether a copy at p_base (-1: no copy) needs more than p_most rows of the user';

create or replace function punit.pull(p_user uuid, p_base bigint, p_fork uuid, p_from uuid,
                                      p_to uuid, p_shape text, p_quiet_ms bigint default 0,
                                      p_dwell boolean default true, p_final bigint default null)
returns table (result text, full_copy boolean, base bigint, ver bigint, epoch bigint, fork uuid,
               gc_ver bigint,
               n bigint, digest numeric, unit text, unit_epoch bigint, wait_ms bigint,
                   seen_ms bigint,
               stay_s double precision, dwell_s double precision, detail text, months text,
                   sent bigint, tombs bigint,
               delta json, due bigint)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- c_large: rows of a round that takes long enough to be watched. c_small: rows that may come
    -- with the answer to FENCE where there is no copy.
    c_large constant bigint := 10000;
    c_small constant bigint := 1000;
    o punit.own;
    w record;
begin
    -- If anything fails below, the COPYs of this query give nothing.
    perform set_config('punit.user', '00000000-0000-0000-0000-000000000000', true),
            set_config('punit.base', '9223372036854775807', true);
    wait_ms := 0;
    detail := punit.void(p_from, p_to);
    if detail is not null then
        result := 'VOID';
        return next;
        return;
    end if;
    select * into o from punit.own x where x.user_id = p_user;
    if o.state = 'ERASED' then
        result := 'ERASED';
        return next;
        return;
    end if;
    if p_final is null and o.state = 'FENCED' and o.fence_to = punit.caller() then
        result := 'FENCED';
        epoch := o.epoch;
        return next;
        return;
    end if;
    if (p_final is null and o.state is distinct from 'OWNED')
       or (p_final is not null
           and (o.state is distinct from 'FENCED' or o.fence_to <> punit.caller()
                                    or o.epoch <> p_final)) then
        result := 'NOT_OWNER';
        select x.unit, x.epoch into unit, unit_epoch from punit.owner_of(p_user) x;
        return next;
        return;
    end if;
    if punit.shape_md5() <> p_shape then
        result := 'SHAPE';
        epoch := o.epoch;
        detail := punit.shape();
        return next;
        return;
    end if;
    result := 'OK';
    full_copy := p_base < o.gc_ver or p_fork is distinct from o.fork or p_base > o.ver;
    base := case when full_copy then -1 else p_base end;
    ver := o.ver;
    epoch := o.epoch;
    fork := o.fork;
    gc_ver := o.gc_ver;
    months := punit.months();
    if p_final is not null and base = ver then
        -- (fork, ver) names the rows of the copy there: nothing was written since.
        n := 0;
        digest := 0;
        sent := 0;
        tombs := 0;
        delta := '{}';
    elsif p_final is not null and (not full_copy or not punit.more_rows(p_user, base, c_small)) then
        select x.n, x.digest, x.sent, x.tombs, coalesce(x.lines, '{}')
          into n, digest, sent, tombs, delta from punit.user_delta(p_user, base) x;
    elsif full_copy and punit.user_rows(p_user, base, c_large) >= c_large then
        due := punit.user_rows(p_user, base, null);
    end if;
    if p_final is null then
        select * into w from punit.wait_left(p_user, p_quiet_ms, p_dwell);
        wait_ms := w.wait_ms;
        seen_ms := w.seen_ms;
        detail := w.why;
    end if;
    select extract(epoch from clock_timestamp() - s.since), s.dwell_s into stay_s, dwell_s
      from punit.stay s where s.user_id = p_user;
    if base < ver then
        perform set_config('punit.user', p_user::text, true),
            set_config('punit.base', base::text, true);
    end if;
    return next;
end
$$;
comment on function punit.pull(uuid, bigint, uuid, uuid, uuid, text, bigint, boolean, bigint) is
    'PULL(base, fork) of the calling unit. OK: the COPYs that follow in this transaction give the'
    ' rows with ver > base. Otherwise NOT_OWNER (unit, unit_epoch: the owner), FENCED (to the'
    ' caller: repeat FENCE), SHAPE (detail: the shape here), ERASED or VOID. months: the'
    ' partitions that rows may need. due: how many rows, if they are many. p_final: the final read'
    ' after FENCE at this epoch of the old owner; it gives the rows in delta, as punit.user_delta'
    ' does, with n and digest. If they are many, because no copy there can be extended'
    ' (full_copy), the COPYs give them';
grant execute on function punit.pull(uuid, bigint, uuid, uuid, uuid, text, bigint, boolean, bigint)
to punit_peer;

create or replace function punit.pulled(out n bigint, out digest numeric, out needs jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    select * into n, digest, needs
      from punit.user_manifest(current_setting('punit.user')::uuid,
                               current_setting('punit.base')::bigint);
end
$$;
comment on function punit.pulled() is
    'after the COPYs of a PULL, in its transaction: punit.user_manifest of the user and base that'
    ' punit.pull chose';
grant execute on function punit.pulled() to punit_peer;
