-- Each service's part in the export and in the erasure of a user.

-- ---- export

create function auth.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'email_hash', (select encode(c.name_hash, 'hex') from auth.credential c where c.user_id = p_user),
        'names', (select coalesce(json_agg(json_build_object('email_hash', encode(n.hash, 'hex'), 'arbiter', n.origin_unit,
                             'registered_at_unit', n.unit, 'claimed_at', n.claimed_at)), '[]')
                    from auth.name n where n.user_id = p_user),
        'roles', (select c.roles from auth.credential c where c.user_id = p_user),
        'generation', (select c.gen from auth.credential c where c.user_id = p_user),
        'password_changed_at', (select c.changed_at from auth.credential c where c.user_id = p_user),
        'sessions', (select coalesce(json_agg(json_build_object('id', s.id, 'created_at', s.created_at,
                             'seen_at', s.seen_at, 'expires_at', s.expires_at, 'client', s.client, 'tokens', s.jti,
                             'refreshed_at', r.rotated_at) order by s.created_at), '[]')
                       from auth.session s left join auth.refresh r on r.user_id = s.user_id and r.session_id = s.id
                      where s.user_id = p_user))
$$;
comment on function auth.export(uuid) is
    'the e-mail is held as a keyed hash only; hashes of password and refresh tokens stay here, they are for nobody to have';

create function profile.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select profile.document(p) from profile.profile p where p.user_id = p_user $$;
comment on function profile.export(uuid) is 'the profile';

create function training.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select '{}'::json $$;
comment on function training.export(uuid) is 'nothing: exercises and programmes do not say who wrote them';

create function sports.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object('activities',
        (select coalesce(json_agg(sports.activity_document(a) order by a.started_at, a.id), '[]')
           from sports.activity a where a.user_id = p_user))
$$;
comment on function sports.export(uuid) is 'all activities';

create function metrics.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object('samples',
        (select coalesce(json_agg(json_build_object('type_id', s.type_id, 'at', punit.rfc3339(s.at), 'value', s.value,
                    'activity_id', s.activity_id) order by s.at, s.type_id), '[]')
           from metrics.sample s where s.user_id = p_user))
$$;
comment on function metrics.export(uuid) is 'all samples';

create function social.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'posts', (select coalesce(json_agg(social.document(p.id, p.user_id, p.text, p.activity_id, p.created_at, p.likes, null)
                             order by p.created_at), '[]') from social.post p where p.user_id = p_user),
        'feed', (select coalesce(json_agg(social.document(f.post_id, f.author_id, f.text, f.activity_id, f.created_at, f.likes, null)
                             order by f.created_at), '[]') from social.feed f where f.user_id = p_user),
        'following', (select coalesce(json_agg(json_build_object('user_id', f.author_id, 'since', punit.rfc3339(f.followed_at))
                             order by f.followed_at), '[]') from social.following f where f.user_id = p_user),
        'followers', (select coalesce(json_agg(json_build_object('user_id', f.follower_id, 'since', punit.rfc3339(f.followed_at))
                             order by f.followed_at), '[]') from social.follower f where f.user_id = p_user),
        'likes', (select coalesce(json_agg(json_build_object('post_id', l.post_id, 'author_id', l.author_id,
                             'at', punit.rfc3339(l.liked_at)) order by l.liked_at), '[]')
                    from social.liked l where l.user_id = p_user),
        'liked_by', (select coalesce(json_agg(json_build_object('post_id', l.post_id, 'user_id', l.liker_id, 'likes', l.likes)
                             order by l.post_id, l.liker_id), '[]')
                       from social.post_like l where l.user_id = p_user))
$$;
comment on function social.export(uuid) is 'posts, feed, whom he follows and who follows him (since null: not any more), likes given and had';

select punit.register_export('auth', 'auth.export', '{auth.credential,auth.session,auth.refresh}');
select punit.register_export('profile', 'profile.export', '{profile.profile}');
select punit.register_export('training', 'training.export', '{}');
select punit.register_export('sports', 'sports.export', '{sports.activity}');
select punit.register_export('metrics', 'metrics.export', '{metrics.sample}');
select punit.register_export('social', 'social.export',
    '{social.post,social.feed,social.liked,social.following,social.follower,social.post_like}');

-- ---- erasure, beyond his own rows (those of social: 252-deliver.sql)

create function auth.end_sessions(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform auth.record_end('jti', t.jti, null, t.exp)
       from auth.session s cross join unnest(s.jti, s.jti_exp) as t (jti, exp)
      where s.user_id = p_user and t.exp > now();
    perform punit.send(u.id, 'auth-forget', p_user, jsonb_build_object('who', to_jsonb(array[
                'user ' || p_user, 'name \x' || encode(c.name_hash, 'hex')])))
       from auth.credential c cross join (select p.id from punit.peer p union all select punit.self()) u
      where c.user_id = p_user;
    perform auth.record_end('session', s.id, null, now() + auth.access_life())
       from auth.session s where s.user_id = p_user;
    return false;
end
$$;
comment on function auth.end_sessions(uuid) is
    'at his owner: each token of a user who is being erased ends, in the grids of all units too. Not by an end of kind user: that would name him in every unit for a while, and his row ERASED says as much';

create function auth.forget(p_user uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    -- at the arbiter; the mesh takes the copies of it away
    delete from auth.name n where n.origin_unit = punit.self() and n.user_id = p_user;
    delete from auth.ended e where e.origin_unit = punit.self() and e.kind = 'user' and e.subject = p_user;
    select false
$$;
comment on function auth.forget(uuid) is 'the login name of an erased user is free again';

create function auth.hear_forget(p_user uuid, p_ver bigint, p_about uuid, p_payload jsonb) returns boolean
language sql volatile
as $$
    delete from auth.attempt a where a.who in (select jsonb_array_elements_text(p_payload->'who'));
    select false
$$;
comment on function auth.hear_forget(uuid, bigint, uuid, jsonb) is
    'message auth-forget: an erased user''s attempts, which are by the hash of his e-mail';
insert into punit.message_handler (kind, fn, outlives) values ('auth-forget', 'auth.hear_forget', true);

insert into punit.forgetter (fn, before) values ('auth.end_sessions', true), ('auth.forget', false);

create function profile.erase(p_user uuid) returns table (epoch bigint, status int)
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
