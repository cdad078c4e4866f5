-- Kinds of sport.

create or replace view sports.known_sport as
select s.* from sports.sport s
 where not exists (select from sports.sport o where o.id = s.id and o.origin_unit < s.origin_unit);
comment on view sports.known_sport is 'one row for each id: the twin that counts';
grant select on sports.known_sport to punit_sports;

create or replace function sports.sport_document(s sports.sport) returns json
language sql stable
return (select row_to_json(d) from (
    select s.id, s.name, s.category, s.met, s.origin_unit as author,
           punit.rfc3339(s.updated_at) as updated_at, punit.rfc3339(s.retired_at) as retired_at) d);
comment on function sports.sport_document(sports.sport) is 'the sport as clients see it';
grant execute on function sports.sport_document(sports.sport) to punit_sports;

create or replace function sports.sport_create(p_user uuid, p_key text, p_sha bytea, p_body jsonb)
returns table (status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_id  uuid := case when p_key is null then gen_random_uuid()
                  else punit.uuid_generate_v5(p_user, 'POST /sports ' || p_key) end;
    v_row sports.sport;
begin
    insert into sports.sport (id, name, category, met, request_sha256)
    select v_id, p_body->>'name', p_body->>'category', (p_body->>'met')::float8,
           case when p_key is not null then p_sha end
     where not exists (select from sports.sport where id = v_id)
    on conflict do nothing;
    select * into strict v_row from sports.sport s where s.id = v_id order by s.origin_unit limit 1;
    if v_row.request_sha256 <> p_sha then
        return query select 422, null::text, null::text, 'key-reused';
    else
        return query select 201, sports.sport_document(v_row)::text, '/sports/' || v_id, null::text;
    end if;
end
$$;
comment on function sports.sport_create(uuid, text, bytea, jsonb) is
    'POST: a key makes the id from user and key, so a repeat finds the row, also one from the'
    ' mesh; 422: the key had another body';
grant execute on function sports.sport_create(uuid, text, bytea, jsonb) to punit_sports;

create or replace function sports.sport_replace(p_id uuid, p_body jsonb)
returns table (status int, body text)
language sql
begin atomic
    update sports.sport s
       set name = p_body->>'name', category = p_body->>'category', met = (p_body->>'met')::float8,
           retired_at = null, updated_at = now()
     where (s.origin_unit, s.id) = (select o.origin_unit, o.id from sports.sport o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 200, sports.sport_document(s)::text;
end;
comment on function sports.sport_replace(uuid, jsonb) is
    'PUT: the whole document; a retired sport comes back; no row: 404; PU421: another unit''s';
grant execute on function sports.sport_replace(uuid, jsonb) to punit_sports;

create or replace function sports.sport_retire(p_id uuid) returns table (status int)
language sql
begin atomic
    update sports.sport s
       set retired_at = coalesce(s.retired_at, now()),
           updated_at = case when s.retired_at is null then now() else s.updated_at end
     where (s.origin_unit, s.id) = (select o.origin_unit, o.id from sports.sport o
                                     where o.id = p_id order by o.origin_unit limit 1)
    returning 204;
end;
comment on function sports.sport_retire(uuid) is 'DELETE: no row: 404; PU421: another unit''s';
grant execute on function sports.sport_retire(uuid) to punit_sports;

create or replace function sports.seed() returns int
language plpgsql
as $$
declare
    v_space uuid := punit.uuid_generate_v5(punit.uuid_ns_url(), 'urn:punit:sports:sport');
    v_n     int;
begin
    insert into sports.sport (id, name, category, met)
    select punit.uuid_generate_v5(v_space, s.slug), s.name, s.category, s.met
      from (values
        -- usual values for a moderate pace, since energy is only estimated from them
        ('badminton',         'Badminton',            'racket',    5.5),
        ('basketball',        'Basketball',           'ball',      6.5),
        ('boxing',            'Boxing, training',     'combat',    7.8),
        ('canoeing',          'Canoeing',             'water',     5.8),
        ('circuit-training',  'Circuit training',     'gym',       7.2),
        ('climbing',          'Rock climbing',        'mountain',  7.3),
        ('cross-country-ski', 'Cross-country skiing', 'winter',    9.0),
        ('cycling',           'Cycling',              'endurance', 7.5),
        ('dancing',           'Dancing',              'gym',       5.0),
        ('football',          'Football',             'ball',      7.0),
        ('gymnastics',        'Gymnastics',           'gym',       3.8),
        ('handball',          'Handball',             'ball',      8.0),
        ('hiking',            'Hiking',               'mountain',  6.0),
        ('ice-skating',       'Ice skating',          'winter',    7.0),
        ('inline-skating',    'Inline skating',       'endurance', 7.5),
        ('judo',              'Judo',                 'combat',   10.0),
        ('rowing',            'Rowing',               'water',     7.0),
        ('running',           'Running',              'endurance', 9.8),
        ('skiing',            'Downhill skiing',      'winter',    5.3),
        ('strength-training', 'Strength training',    'gym',       5.0),
        ('swimming',          'Swimming',             'water',     6.0),
        ('table-tennis',      'Table tennis',         'racket',    4.0),
        ('tennis',            'Tennis',               'racket',    7.3),
        ('volleyball',        'Volleyball',           'ball',      4.0),
        ('walking',           'Walking',              'endurance', 3.5),
        ('yoga',              'Yoga',                 'gym',       2.5)) s (slug, name, category,
            met)
     where not exists (select from sports.sport t where t.id = punit.uuid_generate_v5(v_space,
         s.slug))
    on conflict do nothing;
    get diagnostics v_n = row_count;
    return v_n;
end
$$;
comment on function sports.seed() is
    'inserts the first sports with this unit as their author and says how many were new; called at'
    ' the first unit only';
