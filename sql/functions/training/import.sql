-- Import of a catalogue file. punitctl calls it as the owner of the schema; no service may.

create or replace function training.import_exercises(p jsonb)
returns table (inserted int, updated int, unchanged int, foreign_rows int)
language plpgsql
as $$
declare
    -- RFC 4122, 4.3: the same catalogue gives the same ids in every unit
    v_space  uuid := punit.uuid_generate_v5(punit.uuid_ns_url(), 'urn:punit:training:exercise');
    v_faults json;
begin
    if jsonb_typeof(p) is distinct from 'array' then
        perform punit.invalid('', 'must be an array of exercises');
    end if;
    select json_agg(json_build_object('pointer', f.pointer, 'detail', f.detail) order by f.n)
        into v_faults
      from (
        select s.n, format('/%s/%s', s.n - 1, m.name) as pointer, 'must be ' || m.shape as detail
          from jsonb_array_elements(p) with ordinality s (item, n)
          cross join (values ('id', 'a string', true), ('name', 'a string', true),
                      ('level', 'a string', true),
                             ('category', 'a string', true), ('force', 'a string or null', false),
                             ('mechanic', 'a string or null', false),
                                 ('equipment', 'a string or null', false),
                             ('primaryMuscles', 'an array', false),
                                 ('secondaryMuscles', 'an array', false),
                             ('instructions', 'an array', false), ('images', 'an array', false))
               m (name, shape, required)
         where case when jsonb_typeof(s.item) <> 'object' then m.name = 'id'
                    when m.shape = 'an array' then
                        coalesce(jsonb_typeof(s.item->m.name), 'array') <> 'array'
                    when m.required then
                        jsonb_typeof(s.item->m.name) is distinct from 'string'
                            or s.item->>m.name = ''
                    else coalesce(jsonb_typeof(s.item->m.name), 'null')
                        not in ('string', 'null') end
         order by s.n limit 20) f;
    if v_faults is not null then
        raise exception 'not a catalogue' using errcode = 'PU422', detail = v_faults;
    end if;

    return query
    with source as materialized (
        select distinct on (x.item->>'id')
               punit.uuid_generate_v5(v_space, x.item->>'id') as id, x.item->>'id' as slug,
                   x.item->>'name' as name,
               x.item->>'force' as force, x.item->>'level' as level,
                   x.item->>'mechanic' as mechanic,
               x.item->>'equipment' as equipment, x.item->>'category' as category,
               training.texts(x.item->'primaryMuscles') as primary_muscles,
               training.texts(x.item->'secondaryMuscles') as secondary_muscles,
               array_remove(training.texts(x.item->'instructions'), '') as instructions,
               training.texts(x.item->'images') as images
          from jsonb_array_elements(p) with ordinality x (item, n)
         order by x.item->>'id', x.n desc),
    theirs as materialized (
        select s.id from source s
         where exists (select from training.exercise e where e.id = s.id
                       and e.origin_unit <> punit.self())
           and not exists (select from training.exercise e where e.id = s.id
                           and e.origin_unit = punit.self())),
    written as (
        insert into training.exercise as e (id, slug, name, force, level, mechanic, equipment,
                                            category,
                    primary_muscles, secondary_muscles, instructions, images)
        select s.* from source s where s.id not in (select t.id from theirs t)
        on conflict (origin_unit, id) do update
           set slug = excluded.slug, name = excluded.name, force = excluded.force,
               level = excluded.level,
               mechanic = excluded.mechanic, equipment = excluded.equipment,
                   category = excluded.category,
               primary_muscles = excluded.primary_muscles,
                   secondary_muscles = excluded.secondary_muscles,
               instructions = excluded.instructions, images = excluded.images, updated_at = now()
         where (e.slug, e.name, e.force, e.level, e.mechanic, e.equipment, e.category,
                e.primary_muscles,
                e.secondary_muscles, e.instructions, e.images)
               is distinct from
               (excluded.slug, excluded.name, excluded.force, excluded.level, excluded.mechanic,
                excluded.equipment,
                excluded.category, excluded.primary_muscles, excluded.secondary_muscles,
                    excluded.instructions,
                excluded.images)
        -- A row version that no session has locked or replaced yet was inserted, not updated.
        returning e.xmax = 0 as fresh),
    counted as (
        select count(*) filter (where w.fresh) as fresh, count(*) filter (where not w.fresh)
            as changed from written w)
    select c.fresh::int, c.changed::int,
           ((select count(*) from source) - (select count(*)
                                             from theirs) - c.fresh - c.changed)::int,
           (select count(*) from theirs)::int
      from counted c;
end
$$;
comment on function training.import_exercises(jsonb) is
    'imports a catalogue in one transaction; a repeat changes nothing. Rows that another unit'
    ' wrote stay as they are and are counted. What a coach retired stays retired. PU422 names what'
    ' is no exercise';
