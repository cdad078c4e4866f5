-- auth's part of the export and of the erasure of a user.

create or replace function auth.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'email_hash',
            (select encode(c.name_hash, 'hex') from auth.credential c where c.user_id = p_user),
        'names', (select coalesce(json_agg(json_build_object('email_hash', encode(n.hash, 'hex'),
                                                             'arbiter', n.origin_unit,
                             'registered_at_unit', n.unit, 'claimed_at', n.claimed_at)), '[]')
                    from auth.name n where n.user_id = p_user),
        'roles', (select c.roles from auth.credential c where c.user_id = p_user),
        'generation', (select c.gen from auth.credential c where c.user_id = p_user),
        'password_changed_at',
            (select c.changed_at from auth.credential c where c.user_id = p_user),
        'known_addresses',
            (select coalesce(json_agg(json_build_object('client', k.address, 'seen_at', k.seen_at)
                                      order by k.seen_at, k.address), '[]')
               from auth.known_address k
              where k.who = (select 'name \x' || encode(c.name_hash, 'hex')
                               from auth.credential c where c.user_id = p_user)),
        'sessions', (select coalesce(json_agg(json_build_object('id', s.id, 'created_at',
                                                                s.created_at,
                             'seen_at', s.seen_at, 'expires_at', s.expires_at, 'client', s.client,
                                 'tokens', s.jti,
                             'refreshed_at', r.rotated_at) order by s.created_at), '[]')
                       from auth.session s left join auth.refresh r on r.user_id = s.user_id
                           and r.session_id = s.id
                      where s.user_id = p_user))
$$;
comment on function auth.export(uuid) is
    'the e-mail address is held as a keyed hash only. Hashes of passwords and refresh tokens are'
    ' secrets and stay here';

create or replace function auth.end_sessions(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform auth.record_end('jti', t.jti, null, t.exp)
       from auth.session s cross join unnest(s.jti, s.jti_exp) as t (jti, exp)
      where s.user_id = p_user and t.exp > now() - auth.leeway();
    perform punit.send(u.id, 'auth-forget', p_user, jsonb_build_object('who', to_jsonb(array[
                'user ' || p_user, 'name \x' || encode(c.name_hash, 'hex')])))
       from auth.credential c
           cross join (select p.id from punit.peer p union all select punit.self()) u
      where c.user_id = p_user;
    perform auth.record_end('session', s.id, null, now() + auth.access_life())
       from auth.session s where s.user_id = p_user;
    return false;
end
$$;
comment on function auth.end_sessions(uuid) is
    'at the owner: ends each token of a user who is being erased, in the grids of all units too.'
    ' It writes no row of kind user, which would name the user in every unit for a while; the row'
    ' ERASED says as much';

create or replace function auth.forget(p_user uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    -- At the arbiter; the mesh removes the copies.
    delete from auth.name n where n.origin_unit = punit.self() and n.user_id = p_user;
    delete from auth.ended e where e.origin_unit = punit.self() and e.kind = 'user'
        and e.subject = p_user;
    select false
$$;
comment on function auth.forget(uuid) is 'frees the login name of an erased user';

create or replace function auth.hear_forget(p_user uuid, p_ver bigint, p_about uuid,
                                            p_payload jsonb) returns boolean
language plpgsql volatile
as $$
declare
    v_who text;
begin
    for v_who in select w from jsonb_array_elements_text(p_payload->'who') w
                  where w = 'user ' || p_about
                     or w ~ '^name \\x[0-9a-f]{64}$'
                        and not exists (select from auth.name n
                                         where n.hash = substr(w, 6)::bytea
                                           and n.user_id <> p_about) loop
        -- "name ..." itself, and "from <address> name ..."
        delete from auth.attempt a
         where a.who = v_who or right(a.who, length(v_who) + 1) = ' ' || v_who;
        delete from auth.known_address k where k.who = v_who;
    end loop;
    return false;
end
$$;
comment on function auth.hear_forget(uuid, bigint, uuid, jsonb) is
    'message auth-forget: deletes an erased user''s attempts and known addresses, whose key is the'
    ' hash of the e-mail address. Those of other users stay';
