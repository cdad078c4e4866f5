-- Activities of a user.

create or replace function sports.activity_document(a sports.activity) returns json
language sql stable
return (select row_to_json(d) from (
    select a.id, a.sport_id, punit.rfc3339(a.started_at) as started_at, a.duration_s, a.distance_m,
        a.energy_kcal,
           a.note, a.programme_id, punit.rfc3339(a.created_at) as created_at,
           punit.rfc3339(a.updated_at) as updated_at) d);
comment on function sports.activity_document(sports.activity) is 'the activity as its user sees it';
grant execute on function sports.activity_document(sports.activity) to punit_sports;

create or replace function sports.good_sport(p_id uuid) returns uuid
language plpgsql stable
as $$
begin
    if not exists (select from sports.sport where id = p_id and retired_at is null) then
        perform punit.invalid('/sport_id', 'no such sport');
    end if;
    return p_id;
end
$$;
comment on function sports.good_sport(uuid) is
    'the id, if a sport that is known here and not retired has it; else PU422';
grant execute on function sports.good_sport(uuid) to punit_sports;

create or replace function sports.good_programme(p_id uuid) returns uuid
language plpgsql stable
as $$
begin
    if p_id is not null and not training.has_programme(p_id) then
        perform punit.invalid('/programme_id', 'no such programme');
    end if;
    return p_id;
end
$$;
comment on function sports.good_programme(uuid) is
    'the id, if it is null or a programme known here has it; else PU422';
grant execute on function sports.good_programme(uuid) to punit_sports;

create or replace function sports.good_start(p_at timestamptz) returns timestamptz
language plpgsql immutable
as $$
begin
    if p_at < '1900-01-01Z' or p_at >= '2200-01-01Z' then
        perform punit.invalid('/started_at', 'must be in the years 1900 to 2199');
    end if;
    return p_at;
end
$$;
comment on function sports.good_start(timestamptz) is
    'the time, if an activity can have it; else PU422';
grant execute on function sports.good_start(timestamptz) to punit_sports;

create or replace function sports.add_activity(p_user uuid, p_key text, p_route text, p_sha bytea,
                                               p_body jsonb)
returns table (epoch bigint, status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_write record;
    v_row   sports.activity;
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
        location := '/activities/' || (body::json->>'id');
    else
        insert into sports.activity (user_id, sport_id, started_at, duration_s, distance_m,
                                     energy_kcal, note,
                    programme_id)
        values (p_user, sports.good_sport((p_body->>'sport_id')::uuid),
                sports.good_start((p_body->>'started_at')::timestamptz),
                    (p_body->>'duration_s')::int,
                (p_body->>'distance_m')::float8, (p_body->>'energy_kcal')::float8, p_body->>'note',
                sports.good_programme((p_body->>'programme_id')::uuid))
        returning * into v_row;
        status := 201;
        body := sports.activity_document(v_row)::text;
        location := '/activities/' || v_row.id;
        perform punit.dedup_store(p_user, p_key, p_route, p_sha, v_write.ver, status, body);
    end if;
    return next;
end
$$;
comment on function sports.add_activity(uuid, text, text, bytea, jsonb) is
    'POST; no row: the user is not owned here; 422 key-reused: the key had another body';
grant execute on function sports.add_activity(uuid, text, text, bytea, jsonb) to punit_sports;

create or replace function sports.activity_page(p_user uuid, p_sport uuid, p_from timestamptz,
                                                p_to timestamptz, p_limit int,
                                                p_after_at timestamptz, p_after_id uuid)
returns table (n bigint, item json, key json)
language sql stable
begin atomic
    select row_number() over (order by a.started_at desc, a.id desc), sports.activity_document(a),
           json_build_array(punit.rfc3339(a.started_at), a.id)
      from sports.activity a
     where a.user_id = p_user
       and (p_sport is null or a.sport_id = p_sport)
       and a.started_at >= coalesce(p_from, '-infinity') and a.started_at < coalesce(p_to,
           'infinity')
       and (a.started_at, a.id) < (coalesce(p_after_at, 'infinity'),
                                   coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
     order by a.started_at desc, a.id desc
     limit p_limit + 1;
end;
comment on function sports.activity_page(uuid, uuid, timestamptz, timestamptz, int, timestamptz,
                                         uuid) is
    'activities, newest first, from p_from up to but without p_to, after the given key, one row'
    ' more than p_limit';
grant execute on function sports.activity_page(uuid, uuid, timestamptz, timestamptz, int,
                                               timestamptz, uuid) to punit_sports;

-- Samples and posts may name an activity.
create or replace function sports.missing_activities(p_user uuid, p_ids uuid[]) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select i from unnest(p_ids) i
     where not exists (select from sports.activity a where a.user_id = p_user and a.id = i)
$$;
comment on function sports.missing_activities(uuid, uuid[]) is
    'for the metrics and social services: which of these ids are no activities of the user';
grant execute on function sports.missing_activities(uuid, uuid[]) to punit_metrics, punit_social;

create or replace function sports.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object('activities',
        (select coalesce(json_agg(sports.activity_document(a) order by a.started_at, a.id), '[]')
           from sports.activity a where a.user_id = p_user))
$$;
comment on function sports.export(uuid) is 'all activities';
