-- Types of measurement.

create or replace view metrics.known_type as
select t.* from metrics.type t
 where not exists (select from metrics.type o where o.id = t.id and o.origin_unit < t.origin_unit);
comment on view metrics.known_type is 'one row for each id: the twin that counts';
grant select on metrics.known_type to punit_metrics;

create or replace function metrics.type_document(t metrics.type) returns json
language sql stable
return (select row_to_json(d) from (
    select t.id, t.name, t.unit, t.min, t.max, t.origin_unit as author,
           punit.rfc3339(t.updated_at) as updated_at, punit.rfc3339(t.retired_at) as retired_at) d);
comment on function metrics.type_document(metrics.type) is 'the type as clients see it';
grant execute on function metrics.type_document(metrics.type) to punit_metrics;

create or replace function metrics.check_bounds(p_body jsonb) returns void
language plpgsql immutable
as $$
begin
    if (p_body->>'min')::float8 > (p_body->>'max')::float8 then
        perform punit.invalid('/max', 'is below min');
    end if;
end
$$;
comment on function metrics.check_bounds(jsonb) is 'PU422 if max is below min';
grant execute on function metrics.check_bounds(jsonb) to punit_metrics;

create or replace function metrics.type_create(p_user uuid, p_key text, p_sha bytea, p_body jsonb)
returns table (status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_id  uuid := case when p_key is null then gen_random_uuid()
                  else punit.uuid_generate_v5(p_user, 'POST /metrics/types ' || p_key) end;
    v_row metrics.type;
begin
    perform metrics.check_bounds(p_body);
    insert into metrics.type (id, name, unit, min, max, request_sha256)
    select v_id, p_body->>'name', p_body->>'unit', (p_body->>'min')::float8,
        (p_body->>'max')::float8,
           case when p_key is not null then p_sha end
     where not exists (select from metrics.type where id = v_id)
    on conflict do nothing;
    select * into strict v_row from metrics.type t where t.id = v_id order by t.origin_unit limit 1;
    if v_row.request_sha256 <> p_sha then
        return query select 422, null::text, null::text, 'key-reused';
    else
        return query select 201, metrics.type_document(v_row)::text,
            '/metrics/types/' || v_id, null::text;
    end if;
end
$$;
comment on function metrics.type_create(uuid, text, bytea, jsonb) is
    'POST: a key makes the id from user and key, so a repeat finds the row, also one from the'
    ' mesh; 422: the key had another body';
grant execute on function metrics.type_create(uuid, text, bytea, jsonb) to punit_metrics;

create or replace function metrics.type_replace(p_id uuid, p_body jsonb)
returns table (status int, body text)
language plpgsql
as $$
begin
    perform metrics.check_bounds(p_body);
    return query
    update metrics.type t
       set name = p_body->>'name', unit = p_body->>'unit', min = (p_body->>'min')::float8,
           max = (p_body->>'max')::float8, retired_at = null, updated_at = now()
     where (t.origin_unit, t.id) = (select o.origin_unit, o.id from metrics.type o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 200, metrics.type_document(t)::text;
end
$$;
comment on function metrics.type_replace(uuid, jsonb) is
    'PUT: the whole document; a retired type comes back; samples stay as they were; no row: 404;'
    ' PU421: another unit''s';
grant execute on function metrics.type_replace(uuid, jsonb) to punit_metrics;

create or replace function metrics.type_retire(p_id uuid) returns table (status int)
language sql
begin atomic
    update metrics.type t
       set retired_at = coalesce(t.retired_at, now()),
           updated_at = case when t.retired_at is null then now() else t.updated_at end
     where (t.origin_unit, t.id) = (select o.origin_unit, o.id from metrics.type o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 204;
end;
comment on function metrics.type_retire(uuid) is 'DELETE: no row: 404; PU421: another unit''s';
grant execute on function metrics.type_retire(uuid) to punit_metrics;

create or replace function metrics.seed() returns int
language plpgsql
as $$
declare
    v_space uuid := punit.uuid_generate_v5(punit.uuid_ns_url(), 'urn:punit:metrics:type');
    v_n     int;
begin
    insert into metrics.type (id, name, unit, min, max)
    select punit.uuid_generate_v5(v_space, s.slug), s.name, s.unit, s.min, s.max
      from (values
        ('body-mass',           'Body mass',               'kg',         1,   700),
        ('body-fat',            'Body fat',                '%',          1,    90),
        ('heart-rate',          'Heart rate',              '/min',       10,  350),
        ('resting-heart-rate',  'Resting heart rate',      '/min',       10,  250),
        ('systolic-pressure',   'Systolic blood pressure', 'mm[Hg]',     30,  350),
        ('diastolic-pressure',  'Diastolic blood pressure','mm[Hg]',     10,  250),
        ('oxygen-saturation',   'Oxygen saturation',       '%',          10,  100),
        ('body-temperature',    'Body temperature',        'Cel',        20,   45),
        ('steps',               'Steps',                   '{steps}',    0, 200000),
        ('distance',            'Distance',                'm',          0, 2000000),
        ('energy',              'Energy expended',         'kcal',       0,  50000),
        ('sleep',               'Sleep',                   'h',          0,    24),
        ('vo2-max',             'Maximal oxygen uptake',   'mL/kg/min',  5,   100)) s (slug, name,
            unit, min, max)
     where not exists (select from metrics.type t where t.id = punit.uuid_generate_v5(v_space,
         s.slug))
    on conflict do nothing;
    get diagnostics v_n = row_count;
    return v_n;
end
$$;
comment on function metrics.seed() is
    'inserts the first types with this unit as their author and says how many were new; called at'
    ' the first unit only';
