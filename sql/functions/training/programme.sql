-- Programmes.

create or replace view training.known_programme as
select p.* from training.programme p
 where not exists (select from training.programme o
                    where o.id = p.id and o.origin_unit < p.origin_unit);
comment on view training.known_programme is 'one row for each id: the twin that counts';
grant select on training.known_programme to punit_training;

create or replace function training.programme_document(p training.programme) returns json
language sql stable
return (select row_to_json(d) from (
    select p.id, p.name, p.description, p.level,
           (select coalesce(json_agg(row_to_json(x) order by x.position), '[]') from (
               select s.n as position, (s.step->>'exercise_id')::uuid as exercise_id,
                      (select e.name from training.exercise e
                        where e.id = (s.step->>'exercise_id')::uuid order by e.origin_unit limit 1)
                            as name,
                      (s.step->>'sets')::int as sets, (s.step->>'repetitions')::int as repetitions,
                      coalesce((s.step->>'rest_s')::int, 0) as rest_s
                 from jsonb_array_elements(p.exercises) with ordinality s (step, n)) x)
                     as exercises,
           p.origin_unit as author, punit.rfc3339(p.updated_at) as updated_at,
           punit.rfc3339(p.retired_at) as retired_at) d);
comment on function training.programme_document(training.programme) is
    'the programme as clients see it, with the names that its exercises have now';
grant execute on function training.programme_document(training.programme) to punit_training;

create or replace function training.check_steps(p_exercises jsonb) returns void
language plpgsql stable
as $$
declare
    v_faults json;
begin
    select json_agg(json_build_object('pointer', format('/exercises/%s/exercise_id', s.n - 1),
                                      'detail', 'no such exercise') order by s.n)
      into v_faults
      from jsonb_array_elements(p_exercises) with ordinality s (step, n)
     where not exists (select from training.exercise e
                        where e.id = (s.step->>'exercise_id')::uuid and e.retired_at is null);
    if v_faults is not null then
        raise exception 'invalid' using errcode = 'PU422', detail = v_faults;
    end if;
end
$$;
comment on function training.check_steps(jsonb) is
    'PU422 unless each step names an exercise that is known here and not retired';
grant execute on function training.check_steps(jsonb) to punit_training;

create or replace function training.programme_create(p_user uuid, p_key text, p_sha bytea,
                                                     p_body jsonb)
returns table (status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_id  uuid := case when p_key is null then gen_random_uuid()
                  else punit.uuid_generate_v5(p_user, 'POST /training/programmes ' || p_key) end;
    v_row training.programme;
begin
    if not exists (select from training.programme where id = v_id) then
        perform training.check_steps(p_body->'exercises');
        insert into training.programme (id, name, description, level, exercises, request_sha256)
        values (v_id, p_body->>'name', p_body->>'description', p_body->>'level',
                p_body->'exercises',
                case when p_key is not null then p_sha end)
        on conflict do nothing;
    end if;
    select * into strict v_row from training.programme p where p.id = v_id order by p.origin_unit
        limit 1;
    if v_row.request_sha256 <> p_sha then
        return query select 422, null::text, null::text, 'key-reused';
    else
        return query select 201, training.programme_document(v_row)::text,
            '/training/programmes/' || v_id, null::text;
    end if;
end
$$;
comment on function training.programme_create(uuid, text, bytea, jsonb) is
    'POST, as training.exercise_create';
grant execute on function training.programme_create(uuid, text, bytea, jsonb) to punit_training;

create or replace function training.programme_replace(p_id uuid, p_body jsonb)
returns table (status int, body text)
language plpgsql
as $$
begin
    return query
    update training.programme p
       set name = p_body->>'name', description = p_body->>'description', level = p_body->>'level',
           exercises = p_body->'exercises', retired_at = null, updated_at = now()
     where (p.origin_unit, p.id) = (select o.origin_unit, o.id from training.programme o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 200, training.programme_document(p)::text;
    if found then
        perform training.check_steps(p_body->'exercises');
    end if;
end
$$;
comment on function training.programme_replace(uuid, jsonb) is
    'PUT, as training.exercise_replace; it checks the steps last, so that 404 and PU421 come'
    ' before PU422';
grant execute on function training.programme_replace(uuid, jsonb) to punit_training;

create or replace function training.programme_retire(p_id uuid) returns table (status int)
language sql
begin atomic
    update training.programme p
       set retired_at = coalesce(p.retired_at, now()),
           updated_at = case when p.retired_at is null then now() else p.updated_at end
     where (p.origin_unit, p.id) = (select o.origin_unit, o.id from training.programme o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 204;
end;
comment on function training.programme_retire(uuid) is 'DELETE, as training.exercise_retire';
grant execute on function training.programme_retire(uuid) to punit_training;

-- an activity may say which programme it followed
create or replace function training.has_programme(p_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select exists (select from training.programme where id = p_id) $$;
comment on function training.has_programme(uuid) is
    'for the sports service: whether there is such a programme here';
grant execute on function training.has_programme(uuid) to punit_sports, punit_training;
