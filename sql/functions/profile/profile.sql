-- The profile of a user.

create or replace function profile.document(p profile.profile) returns json
language sql stable
return json_build_object('user_id', p.user_id, 'name', p.name, 'birth_date', p.birth_date,
    'height_m', p.height_m, 'weight_kg', p.weight_kg, 'locale', p.locale, 'time_zone', p.time_zone,
    'sports', to_json(p.sports));
comment on function profile.document(profile.profile) is 'a profile as the interface shows it';
grant execute on function profile.document(profile.profile) to punit_profile;

create or replace function profile.create(p_user uuid, p_name text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ insert into profile.profile (user_id, ver, name) values (p_user, 0, p_name) $$;
comment on function profile.create(uuid, text) is
    'makes the profile of a new user; call it in the transaction of punit.create_user';
grant execute on function profile.create(uuid, text) to punit_auth;

create or replace function profile.time_zone_of(p_user uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select coalesce((select p.time_zone from profile.profile p where p.user_id = p_user),
                      'UTC') $$;
comment on function profile.time_zone_of(uuid) is
    'the zone in which the user''s days begin: for services that count by day';
grant execute on function profile.time_zone_of(uuid) to punit_metrics;

create or replace function profile.patch(p profile.profile, b jsonb) returns profile.profile
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
                            from jsonb_array_elements_text(coalesce(nullif(b -> 'sports', 'null'),
                                                                    '[]'))
                                 with ordinality x (id, n)
                           group by x.id::uuid order by min(x.n));
    end if;
    return p;
end
$$;
comment on function profile.patch(profile.profile, jsonb) is 'a profile with a merge patch applied';
grant execute on function profile.patch(profile.profile, jsonb) to punit_profile;

create or replace function profile.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select profile.document(p) from profile.profile p where p.user_id = p_user $$;
comment on function profile.export(uuid) is 'the profile';

create or replace function profile.erase(p_user uuid) returns table (epoch bigint, status int)
language plpgsql volatile
as $$
begin
    select o.epoch into epoch from punit.own o where o.user_id = p_user;
    if punit.erase_user(p_user) then
        status := 204;
        return next;
    end if;
end
$$;
comment on function profile.erase(uuid) is 'DELETE /profile; no row: the user is not owned here';
grant execute on function profile.erase(uuid) to punit_profile;
