-- Exercises.

create or replace view training.known_exercise as
select e.* from training.exercise e
 where not exists (select from training.exercise o
                    where o.id = e.id and o.origin_unit < e.origin_unit);
comment on view training.known_exercise is 'one row for each id: the twin that counts';
grant select on training.known_exercise to punit_training;

create or replace function training.exercise_document(e training.exercise) returns json
language sql stable
return (select row_to_json(d) from (
    select e.id, e.slug, e.name, e.force, e.level, e.mechanic, e.equipment, e.category,
           e.primary_muscles, e.secondary_muscles, e.instructions, e.images,
           e.origin_unit as author, punit.rfc3339(e.updated_at) as updated_at,
           punit.rfc3339(e.retired_at) as retired_at) d);
comment on function training.exercise_document(training.exercise) is
    'the exercise as clients see it';
grant execute on function training.exercise_document(training.exercise) to punit_training;

create or replace function training.like_escape(p_text text) returns text
language sql immutable strict parallel safe
return regexp_replace(p_text, '([\\%_])', '\\\1', 'g');
comment on function training.like_escape(text) is
    'escapes a text so that LIKE takes every character as itself';
grant execute on function training.like_escape(text) to punit_training;

create or replace function training.exercise_page(p_level text, p_category text, p_muscle text,
                                                  p_equipment text, p_q text, p_limit int,
                                                  p_name text, p_id uuid)
returns table (n bigint, item json, key json)
language plpgsql stable
-- Every combination of filters gets a plan of its own; the grid absorbs repeats.
set plan_cache_mode = force_custom_plan
as $$
declare
    v_pattern text := '%' || training.like_escape(lower(p_q collate "und-x-icu")) || '%';
begin
    return query
    select row_number() over (order by e.name, e.id),
           (select row_to_json(i) from (
               select e.id, e.slug, e.name, e.force, e.level, e.mechanic, e.equipment, e.category,
                      e.primary_muscles, e.secondary_muscles) i),
           json_build_array(e.name, e.id)
      from training.known_exercise e
     where e.retired_at is null
       and (p_level is null or e.level = p_level)
       and (p_category is null or e.category = p_category)
       and (p_equipment is null or e.equipment = p_equipment)
       and (p_muscle is null or e.primary_muscles || e.secondary_muscles @> array[p_muscle])
       and (p_q is null or e.search like v_pattern)
       and (p_id is null or (e.name, e.id) > (p_name, p_id))
     order by e.name, e.id
     limit p_limit + 1;
end
$$;
comment on function training.exercise_page(text, text, text, text, text, int, text, uuid) is
    'the list by name, after (p_name, p_id), one row more than p_limit; muscle: primary or'
    ' secondary; q: anywhere in the name, case folded';
grant execute on function training.exercise_page(text, text, text, text, text, int, text, uuid)
to punit_training;

create or replace function training.texts(p_array jsonb) returns text[]
language sql immutable parallel safe
return coalesce(array(select jsonb_array_elements_text(p_array)), '{}');
comment on function training.texts(jsonb) is 'a JSON array of strings as text[]; null: empty';
grant execute on function training.texts(jsonb) to punit_training;

create or replace function training.slug(p_name text, p_id uuid) returns text
language sql immutable parallel safe
return coalesce(nullif(left(trim(both '-' from regexp_replace(lower(p_name), '[^[:alnum:]]+', '-',
                                                              'g')), 100), ''),
                p_id::text);
comment on function training.slug(text, uuid) is
    'a slug for an exercise without one: from the name, else the id';
grant execute on function training.slug(text, uuid) to punit_training;

create or replace function training.exercise_create(p_user uuid, p_key text, p_sha bytea,
                                                    p_body jsonb)
returns table (status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_id  uuid := case when p_key is null then gen_random_uuid()
                  else punit.uuid_generate_v5(p_user, 'POST /training/exercises ' || p_key) end;
    v_row training.exercise;
begin
    insert into training.exercise (id, slug, name, force, level, mechanic, equipment, category,
                primary_muscles, secondary_muscles, instructions, images, request_sha256)
    select v_id, coalesce(p_body->>'slug', training.slug(p_body->>'name', v_id)), p_body->>'name',
           p_body->>'force', p_body->>'level', p_body->>'mechanic', p_body->>'equipment',
               p_body->>'category',
           training.texts(p_body->'primary_muscles'), training.texts(p_body->'secondary_muscles'),
           training.texts(p_body->'instructions'), training.texts(p_body->'images'),
           case when p_key is not null then p_sha end
     where not exists (select from training.exercise where id = v_id)
    on conflict do nothing;
    select * into strict v_row from training.exercise e where e.id = v_id order by e.origin_unit
        limit 1;
    if v_row.request_sha256 <> p_sha then
        return query select 422, null::text, null::text, 'key-reused';
    else
        return query select 201, training.exercise_document(v_row)::text,
            '/training/exercises/' || v_id, null::text;
    end if;
end
$$;
comment on function training.exercise_create(uuid, text, bytea, jsonb) is
    'POST: a key makes the id from user and key, so a repeat finds the row, also one from the'
    ' mesh; 422: the key had another body';
grant execute on function training.exercise_create(uuid, text, bytea, jsonb) to punit_training;

create or replace function training.exercise_replace(p_id uuid, p_body jsonb)
returns table (status int, body text)
language sql
begin atomic
    update training.exercise e
       set slug = coalesce(p_body->>'slug', e.slug), name = p_body->>'name',
           force = p_body->>'force',
           level = p_body->>'level', mechanic = p_body->>'mechanic',
               equipment = p_body->>'equipment',
           category = p_body->>'category',
           primary_muscles = training.texts(p_body->'primary_muscles'),
           secondary_muscles = training.texts(p_body->'secondary_muscles'),
           instructions = training.texts(p_body->'instructions'),
               images = training.texts(p_body->'images'),
           retired_at = null, updated_at = now()
     where (e.origin_unit, e.id) = (select o.origin_unit, o.id from training.exercise o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 200, training.exercise_document(e)::text;
end;
comment on function training.exercise_replace(uuid, jsonb) is
    'PUT: the whole document; without a slug the old one stays; a retired exercise comes back; no'
    ' row: 404; PU421: another unit''s';
grant execute on function training.exercise_replace(uuid, jsonb) to punit_training;

create or replace function training.exercise_retire(p_id uuid) returns table (status int)
language sql
begin atomic
    update training.exercise e
       set retired_at = coalesce(e.retired_at, now()),
           updated_at = case when e.retired_at is null then now() else e.updated_at end
     where (e.origin_unit, e.id) = (select o.origin_unit, o.id from training.exercise o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 204;
end;
comment on function training.exercise_retire(uuid) is 'DELETE: no row: 404; PU421: another unit''s';
grant execute on function training.exercise_retire(uuid) to punit_training;

create or replace function training.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select '{}'::json $$;
comment on function training.export(uuid) is
    'nothing: exercises and programmes do not say which user wrote them';
