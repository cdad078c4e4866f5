-- Samples of a user.

create or replace function metrics.put_samples(p_user uuid, p_ver bigint, p_types uuid[],
                                               p_at timestamptz[], p_values float8[],
                                               p_activities uuid[], out stored bigint,
                                               out faults json)
language plpgsql volatile
as $$
begin
    -- one statement: errors are found in the same rows that would be stored
    with sample as materialized (
        select s.n, s.type_id, s.at::timestamptz(3) as at, s.value, s.activity_id
          from unnest(p_types, p_at, p_values, p_activities) with ordinality s (type_id, at, value,
              activity_id, n)),
    fault as materialized (
        select s.n, f.member, f.detail
          from sample s
          left join metrics.known_type t on t.id = s.type_id
          cross join lateral (
            select 'type_id' as member, 'no such type' as detail where t.id is null
            union all
            select 'type_id', 'this type is retired' where t.retired_at is not null
            union all
            select 'value', format('must be at least %s %s', t.min, t.unit) where s.value < t.min
            union all
            select 'value', format('must be at most %s %s', t.max, t.unit) where s.value > t.max
            union all
            select 'at', 'must be in the years 1900 to 2199'
             where s.at < '1900-01-01Z' or s.at >= '2200-01-01Z') f
         where t.id is null or t.retired_at is not null or s.value < t.min or s.value > t.max
            or s.at < '1900-01-01Z' or s.at >= '2200-01-01Z'
        union all
        select s.n, 'activity_id', 'no such activity of yours'
          from sample s
         where s.activity_id in (
            select m from sports.missing_activities(p_user,
                (select array_agg(distinct x.activity_id) from sample x
                 where x.activity_id is not null)) m)
         order by 1 limit 20),
    stored as (
        insert into metrics.sample (user_id, type_id, at, value, activity_id, ver)
        select distinct on (s.type_id, s.at)
               p_user, s.type_id, s.at, s.value, s.activity_id, p_ver
          from sample s
         where not exists (select from fault)
         order by s.type_id, s.at, s.n desc
        on conflict (user_id, type_id, at) do update
           set value = excluded.value, activity_id = excluded.activity_id, ver = excluded.ver
        returning 1)
    select (select count(*) from stored),
           (select json_agg(json_build_object('pointer', format('/%s/%s', f.n - 1, f.member),
                                              'detail', f.detail)
                            order by f.n) from fault f)
      into stored, faults;
end
$$;
comment on function metrics.put_samples(uuid, bigint, uuid[], timestamptz[], double precision[],
                                        uuid[]) is
    'after the bump that gave p_ver: says how many were stored, or what is wrong and nothing'
    ' stored; check_violation: a month is missing';
grant execute on function metrics.put_samples(uuid, bigint, uuid[], timestamptz[],
                                              double precision[], uuid[]) to punit_metrics;

create or replace function metrics.make_sample_months(p_at timestamptz[]) returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select punit.make_months('metrics.sample', array_agg(distinct s.at)) from unnest(p_at) s (at)
$$;
comment on function metrics.make_sample_months(timestamptz[]) is
    'makes the missing partitions for these samples';
grant execute on function metrics.make_sample_months(timestamptz[]) to punit_metrics;

create or replace function metrics.store_samples(p_user uuid, p_key text, p_route text,
                                                 p_sha bytea, p_types uuid[], p_at timestamptz[],
                                                 p_values float8[], p_activities uuid[])
returns table (epoch bigint, status int, body text, problem text)
language plpgsql
as $$
declare
    v_write  record;
    v_faults json;
    v_n      bigint;
begin
    select * into v_write from punit.begin_write(p_user, p_key, p_route, p_sha);
    if not found then
        return;
    end if;
    epoch := v_write.epoch;
    status := v_write.status;
    body := v_write.body;
    problem := v_write.problem;
    if status is not null then
        return next;
        return;
    end if;

    begin
        select p.stored, p.faults into v_n, v_faults
          from metrics.put_samples(p_user, v_write.ver, p_types, p_at, p_values, p_activities) p;
    exception when check_violation then
        -- These are the first samples of some month.
        perform metrics.make_sample_months(p_at);
        select p.stored, p.faults into v_n, v_faults
          from metrics.put_samples(p_user, v_write.ver, p_types, p_at, p_values, p_activities) p;
    end;
    if v_faults is not null then
        raise exception 'invalid' using errcode = 'PU422', detail = v_faults;
    end if;

    status := 201;
    body := format('{"stored":%s}', v_n);
    perform punit.dedup_store(p_user, p_key, p_route, p_sha, v_write.ver, status, body);
    return next;
end
$$;
comment on function metrics.store_samples(uuid, text, text, bytea, uuid[], timestamptz[],
                                          double precision[], uuid[]) is
    'stores all samples of the arrays or none; the arrays have one item for each sample, and the'
    ' last of doubles counts. No row: the user is not owned here. PU422 names samples by pointer';
grant execute on function metrics.store_samples(uuid, text, text, bytea, uuid[], timestamptz[],
                                                double precision[], uuid[]) to punit_metrics;

create or replace function metrics.sample_page(p_user uuid, p_type uuid, p_from timestamptz,
                                               p_to timestamptz, p_limit int, p_after_type uuid,
                                               p_after_at timestamptz)
returns table (n bigint, item json, key json)
language sql stable
-- Bounds instead of "is null or": each is a bound of the index scan in every case.
begin atomic
    select row_number() over (order by s.type_id, s.at),
           (select row_to_json(i) from (
               select s.type_id, punit.rfc3339(s.at) as at, s.value, s.activity_id) i),
           json_build_array(s.type_id, punit.rfc3339(s.at))
      from metrics.sample s
     where s.user_id = p_user
       and s.type_id between coalesce(p_type, '00000000-0000-0000-0000-000000000000')
                         and coalesce(p_type, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and s.at >= coalesce(p_from, '-infinity') and s.at < coalesce(p_to, 'infinity')
       and (s.type_id, s.at) > (coalesce(p_after_type, '00000000-0000-0000-0000-000000000000'),
                                coalesce(p_after_at, '-infinity'))
     order by s.type_id, s.at
     limit p_limit + 1;
end;
comment on function metrics.sample_page(uuid, uuid, timestamptz, timestamptz, int, uuid,
                                        timestamptz) is
    'samples by type and time, from p_from up to but without p_to, after the given key, one row'
    ' more than p_limit';
grant execute on function metrics.sample_page(uuid, uuid, timestamptz, timestamptz, int, uuid,
                                              timestamptz) to punit_metrics;

-- A bucket of local time begins at the first moment when the local clock shows its beginning or a
-- later time. It ends where the next one begins. So buckets follow each other without a gap and
-- without an overlap, also where a midnight comes twice or never. An hour is different: the hour
-- that comes twice is two buckets. A shift within an hour cuts it.
create or replace function metrics.zone_offset(p_at timestamptz, p_zone text) returns interval
language sql stable parallel safe
return (p_at at time zone p_zone) - (p_at at time zone 'UTC');
comment on function metrics.zone_offset(timestamptz, text) is
    'local time less UTC, at that moment';
grant execute on function metrics.zone_offset(timestamptz, text) to punit_metrics;

create or replace function metrics.zone_shift(p_from timestamptz, p_to timestamptz, p_zone text)
returns timestamptz
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    v_before interval := metrics.zone_offset(p_from, p_zone);
    lo timestamptz := date_trunc('second', p_from);
    hi timestamptz := date_trunc('second', p_to);
    m  timestamptz;
begin
    while hi - lo > interval '1 second' loop
        m := date_trunc('second', lo + (hi - lo) / 2);
        if metrics.zone_offset(m, p_zone) = v_before then
            lo := m;
        else
            hi := m;
        end if;
    end loop;
    return hi;
end
$$;
comment on function metrics.zone_shift(timestamptz, timestamptz, text) is
    'when the clock of the zone is set, once after p_from and not after p_to, to the second';
grant execute on function metrics.zone_shift(timestamptz, timestamptz, text)
    to punit_metrics;

create or replace function metrics.bucket_start(p_local timestamp, p_zone text) returns timestamptz
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    -- PostgreSQL takes the later of two such moments. For a time that a shift leaves out, it gives
    -- a moment after the shift.
    t timestamptz := p_local at time zone p_zone;
    v_before timestamptz := t - interval '26 hours';
    -- the moment by the clock of before
    s timestamptz := (p_local - metrics.zone_offset(v_before, p_zone)) at time zone 'UTC';
begin
    if s < t and s at time zone p_zone = p_local then
        return s;
    elsif t at time zone p_zone = p_local then
        return t;
    end if;
    return metrics.zone_shift(v_before, t, p_zone);
end
$$;
comment on function metrics.bucket_start(timestamp, text) is
    'the first moment when the clock of the zone shows that time or a later one';
grant execute on function metrics.bucket_start(timestamp, text) to punit_metrics;

create or replace function metrics.bucket_at(p_bucket text, p_at timestamptz, p_zone text,
                                             out start timestamptz, out "end" timestamptz)
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    v_local  timestamp := date_trunc(p_bucket, p_at at time zone p_zone);
    v_offset interval := metrics.zone_offset(p_at, p_zone);
    v_next   timestamp;
begin
    if p_bucket = 'hour' then
        start := (v_local - v_offset) at time zone 'UTC';
        "end" := start + interval '1 hour';
        if metrics.zone_offset(start, p_zone) <> v_offset then
            start := metrics.zone_shift(start, p_at, p_zone);
        end if;
        if metrics.zone_offset("end" - interval '1 microsecond', p_zone) <> v_offset then
            "end" := metrics.zone_shift(p_at, "end", p_zone);
        end if;
        return;
    end if;
    v_next := v_local + ('1 ' || p_bucket)::interval;
    "end" := metrics.bucket_start(v_next, p_zone);
    if "end" > p_at then
        start := metrics.bucket_start(v_local, p_zone);
    else
        -- The clock was set back over the end of the bucket: the next one has begun.
        start := "end";
        "end" := metrics.bucket_start(v_next + ('1 ' || p_bucket)::interval, p_zone);
    end if;
end
$$;
comment on function metrics.bucket_at(text, timestamptz, text) is
    'the bucket (hour, day, week from Monday, month) of a zone that has this moment:'
    ' start <= p_at < end';
grant execute on function metrics.bucket_at(text, timestamptz, text) to punit_metrics;

create or replace function metrics.zone_of(p_user uuid, out zone text, out unknown text)
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    zone := profile.time_zone_of(p_user);
    perform now() at time zone zone;
exception when invalid_parameter_value then
    unknown := zone;
    zone := 'UTC';
end
$$;
comment on function metrics.zone_of(uuid) is
    'the zone in which the days of the user begin. unknown: the zone of the profile, if this'
    ' PostgreSQL does not know it. Then UTC takes its place';
grant execute on function metrics.zone_of(uuid) to punit_metrics;

create or replace function metrics.summary_page(p_user uuid, p_type uuid, p_bucket text,
                                                p_from timestamptz, p_to timestamptz, p_limit int,
                                                p_after timestamptz)
returns table (n bigint, item json, key json)
language sql stable
begin atomic
    select row_number() over (order by b.start),
           (select json_strip_nulls(row_to_json(i)) from (
               select punit.rfc3339(b.start) as start, punit.rfc3339(b."end") as "end",
                      case when b.unknown is not null then b.zone end as zone,
                      case when b.unknown is not null
                           then format('this unit does not know the zone %s', b.unknown) end
                          as warning,
                      b.count, b.min, b.max, b.sum / b.count as avg, b.sum) i),
           json_build_array(punit.rfc3339(b.start))
      from (
        select u.start, u."end", g.zone, g.unknown, sum(g.count)::bigint as count,
               min(g.min) as min, max(g.max) as max, sum(g.sum) as sum
          from (
            -- Samples with one local label and one offset are in one bucket, and a bucket has the
            -- samples of at most two such groups.
            select z.zone, z.unknown, min(s.at) as first, count(*) as count, min(s.value) as min,
                   max(s.value) as max, sum(s.value) as sum
              from metrics.sample s
              cross join metrics.zone_of(p_user) z
              cross join lateral (select s.at at time zone z.zone as local) l
             where s.user_id = p_user and s.type_id = p_type
               and s.at >= greatest(coalesce(p_from, '-infinity'), coalesce(p_after, '-infinity'))
               and s.at < coalesce(p_to, 'infinity')
             group by z.zone, z.unknown, date_trunc(p_bucket, l.local),
                      l.local - (s.at at time zone 'UTC')
             order by first
             limit 2 * p_limit + 6) g
          cross join lateral metrics.bucket_at(p_bucket, g.first, g.zone) u
         where p_after is null or u.start > p_after
         group by 1, 2, 3, 4
         order by 1
         limit p_limit + 1) b
     order by b.start;
end;
comment on function metrics.summary_page(uuid, uuid, text, timestamptz, timestamptz, int,
                                         timestamptz) is
    'figures for each bucket (hour, day, week from Monday, month) of the user''s own time zone;'
    ' empty buckets are left out';
grant execute on function metrics.summary_page(uuid, uuid, text, timestamptz, timestamptz, int,
                                               timestamptz) to punit_metrics;

create or replace function metrics.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object('samples',
        (select coalesce(json_agg(json_build_object('type_id', s.type_id, 'at', punit.rfc3339(s.at),
                                                    'value', s.value,
                    'activity_id', s.activity_id) order by s.at, s.type_id), '[]')
           from metrics.sample s where s.user_id = p_user))
$$;
comment on function metrics.export(uuid) is 'all samples';
