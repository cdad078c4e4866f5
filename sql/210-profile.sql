-- The profile: what a user says of himself. One row a user, made when he registers.

create schema profile;
comment on schema profile is 'service profile';
grant usage on schema profile to punit_profile, punit_auth, punit_metrics;

create table profile.profile (
    user_id    uuid primary key,
    ver        bigint not null,
    name       text not null check (length(name) between 1 and 100),
    birth_date date check (birth_date >= '1900-01-01'),
    height_m   numeric check (height_m between 0.3 and 3),
    weight_kg  numeric check (weight_kg between 1 and 700),
    locale     text check (length(locale) <= 35),
    time_zone  text check (length(time_zone) <= 64),
    sports     uuid[] not null default '{}' check (cardinality(sports) <= 100)
);
comment on table profile.profile is 'what a user says of himself';
comment on column profile.profile.locale is 'language tag, BCP 47';
comment on column profile.profile.time_zone is 'IANA name; null: UTC';
comment on column profile.profile.sports is 'ids of sports that he does, as the service sports names them';

select punit.register_user_table('profile.profile');

create function profile.document(p profile.profile) returns json
language sql stable
return json_build_object('user_id', p.user_id, 'name', p.name, 'birth_date', p.birth_date,
    'height_m', p.height_m, 'weight_kg', p.weight_kg, 'locale', p.locale, 'time_zone', p.time_zone,
    'sports', to_json(p.sports));
comment on function profile.document(profile.profile) is 'a profile as the interface shows it';

create function profile.create(p_user uuid, p_name text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ insert into profile.profile (user_id, ver, name) values (p_user, 0, p_name) $$;
comment on function profile.create(uuid, text) is
    'the profile of a new user: call it in the transaction of punit.create_user';

create function profile.time_zone_of(p_user uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select coalesce((select p.time_zone from profile.profile p where p.user_id = p_user), 'UTC') $$;
comment on function profile.time_zone_of(uuid) is
    'the zone in which the user''s days begin: for services that count by day';

create function profile.patch(p profile.profile, b jsonb) returns profile.profile
language plpgsql stable
as $$
begin
    -- a member that is null is removed (RFC 7396); the worker has checked types and bounds
    if b ? 'name'       then p.name := b ->> 'name'; end if;
    if b ? 'birth_date' then p.birth_date := b ->> 'birth_date'; end if;
    if b ? 'height_m'   then p.height_m := b ->> 'height_m'; end if;
    if b ? 'weight_kg'  then p.weight_kg := b ->> 'weight_kg'; end if;
    if b ? 'locale'     then p.locale := b ->> 'locale'; end if;
    if b ? 'time_zone'  then p.time_zone := b ->> 'time_zone'; end if;
    if b ? 'sports'     then
        p.sports := array(select x.id::uuid
                            from jsonb_array_elements_text(coalesce(nullif(b -> 'sports', 'null'), '[]'))
                                 with ordinality x (id, n)
                           group by x.id::uuid order by min(x.n));
    end if;
    return p;
end
$$;
comment on function profile.patch(profile.profile, jsonb) is 'a profile with a merge patch applied';

revoke all on profile.profile from public;
grant select, insert, update on profile.profile to punit_profile;
grant execute on function profile.document(profile.profile), profile.patch(profile.profile, jsonb)
    to punit_profile;
grant execute on function profile.create(uuid, text) to punit_auth;
grant execute on function profile.time_zone_of(uuid) to punit_metrics;
