-- Sessions: their life, and the functions that open, refresh and end them. A function without a row
-- in its result did nothing: the user is not owned here.

create or replace function auth.access_life() returns interval
language sql immutable parallel safe return interval '15 minutes';
comment on function auth.access_life() is 'how long an access token lives';
grant execute on function auth.access_life() to punit_auth;

create or replace function auth.refresh_life() returns interval
language sql immutable parallel safe return interval '30 days';
comment on function auth.refresh_life() is 'how long a session lives without a refresh';
grant execute on function auth.refresh_life() to punit_auth;

create or replace function auth.leeway() returns interval
language sql immutable parallel safe return interval '1 minute';
comment on function auth.leeway() is
    'how long after its end a token may still be taken, at most: punit_leeway of NGINX is less';
grant execute on function auth.leeway() to punit_auth, punit_gridd;

create or replace function auth.session_life() returns interval
language sql immutable parallel safe return interval '90 days';
comment on function auth.session_life() is
    'how long a session lives with refreshes, unless PUNIT_SESSION_LIFE says otherwise';
grant execute on function auth.session_life() to punit_auth;

create or replace function auth.add_session(p_user uuid, p_session uuid, p_jti uuid,
                                            p_exp timestamptz, p_family bytea, p_current bytea,
                                            p_client text,
                                            p_life interval default auth.session_life())
returns void
language plpgsql volatile
as $$
begin
    insert into auth.session (user_id, id, expires_at, client, jti, jti_exp)
    values (p_user, p_session, now() + least(auth.refresh_life(), p_life), p_client, array[p_jti],
            array[p_exp]);
    insert into auth.refresh (user_id, family, session_id, current)
    values (p_user, p_family, p_session, array[p_current]);
end
$$;
comment on function auth.add_session(uuid, uuid, uuid, timestamptz, bytea, bytea, text,
                                     interval) is
    'makes a session with its first pair of tokens, which ends after p_life. Call it after the'
    ' bump';
grant execute on function auth.add_session(uuid, uuid, uuid, timestamptz, bytea, bytea, text,
                                           interval) to punit_auth;

create or replace function auth.remove_session(p_user uuid, p_session uuid) returns boolean
language plpgsql volatile
as $$
declare
    v auth.session;
begin
    delete from auth.refresh r where r.user_id = p_user and r.session_id = p_session;
    delete from auth.session s where s.user_id = p_user and s.id = p_session returning * into v;
    if not found then
        return false;
    end if;
    perform auth.record_end('jti', t.jti, null, t.exp)
       from unnest(v.jti, v.jti_exp) as t (jti, exp) where t.exp > now() - auth.leeway();
    perform auth.record_end('session', p_session, null, now() + auth.access_life());
    return true;
end
$$;
comment on function auth.remove_session(uuid, uuid) is
    'ends a session and each of its tokens; false: there is no such session. Call it after the'
    ' bump';
grant execute on function auth.remove_session(uuid, uuid) to punit_auth;

create or replace function auth.session_of(p_user uuid, p_jti uuid) returns uuid
language sql stable
return (select s.id from auth.session s where s.user_id = p_user and p_jti = any (s.jti) limit 1);
comment on function auth.session_of(uuid, uuid) is 'the session of a token; null: not known here';
grant execute on function auth.session_of(uuid, uuid) to punit_auth;

create or replace function auth.rotate(p_user uuid, p_family bytea, p_presented bytea,
                                       p_next bytea, p_jti uuid, p_exp timestamptz, p_client text,
                                       p_life interval default auth.session_life())
returns table (epoch bigint, outcome text, session uuid, gen bigint, roles text, exp bigint)
language plpgsql volatile rows 1
as $$
declare
    v_epoch bigint;
    f       auth.refresh;
    s       auth.session;
    v_end   timestamptz;
    v_exp   timestamptz;
begin
    -- A forged token must not cost its alleged user a write.
    select o.epoch into v_epoch from punit.own o where o.user_id = p_user and o.state = 'OWNED';
    if v_epoch is null then
        return;
    end if;
    if not exists (select from auth.refresh r where r.user_id = p_user and r.family = p_family) then
        return query select v_epoch, 'unknown', null::uuid, null::bigint, null::text, null::bigint;
        return;
    end if;

    select b.epoch into v_epoch from punit.bump(p_user) b;
    if v_epoch is null then
        return;
    end if;
    select * into f from auth.refresh r where r.user_id = p_user and r.family = p_family;
    select * into s from auth.session x where x.user_id = p_user and x.id = f.session_id;
    -- created_at moves with the user, so that the life goes on at another unit.
    v_end := s.created_at + p_life;
    v_exp := least(p_exp, date_trunc('second', v_end));
    if f.session_id is null or s.expires_at < now() or v_exp <= now()
       -- Another unit took a logout while this one was away.
       or exists (select from auth.ended e where e.subject = f.session_id and e.kind = 'session')
    then
        perform auth.remove_session(p_user, f.session_id);
        return query select v_epoch, 'unknown', null::uuid, null::bigint, null::text, null::bigint;
        return;
    end if;

    if p_presented = any (f.current) then
        update auth.refresh r
           set current = array[p_next], previous = f.current, rotated_at = now()
         where r.user_id = p_user and r.family = p_family;
    elsif p_presented = any (f.previous) and f.rotated_at > now() - interval '10 seconds' then
        -- The answer was lost: add another pair beside the lost one, and keep the newest 8.
        update auth.refresh r
           set current = (p_next || f.current)[1:8]
         where r.user_id = p_user and r.family = p_family;
    else
        perform auth.remove_session(p_user, f.session_id);
        return query select v_epoch, 'reused', f.session_id, null::bigint, null::text,
            null::bigint;
        return;
    end if;

    update auth.session x
       set seen_at = now(), expires_at = least(now() + auth.refresh_life(), v_end),
           client = p_client, jti = t.jti, jti_exp = t.exp
      from (select array_agg(u.jti order by u.n) as jti, array_agg(u.exp order by u.n) as exp
              from (select l.jti, l.exp, l.n
                      from unnest(s.jti || p_jti, s.jti_exp || v_exp)
                          with ordinality as l (jti, exp, n)
                     where l.exp > now() - auth.leeway() order by l.n desc limit 100) u) t
     where x.user_id = p_user and x.id = f.session_id;
    -- What the list has no room for ends now, since the end of the session would not reach it.
    perform auth.record_end('jti', l.jti, null, l.exp)
       from unnest(s.jti, s.jti_exp) as l (jti, exp)
       join auth.session x on x.user_id = p_user and x.id = f.session_id
      where l.exp > now() - auth.leeway() and l.jti <> all (x.jti);
    return query
        select v_epoch, 'rotated', f.session_id, c.gen, array_to_string(c.roles, ' '),
               extract(epoch from v_exp)::bigint
          from auth.credential c where c.user_id = p_user;
end
$$;
comment on function auth.rotate(uuid, bytea, bytea, bytea, uuid, timestamptz, text, interval) is
    'exchanges a refresh token (SHA-256 of its family part and of the whole) for the next. exp:'
    ' p_exp, or the end of the session, p_life after its login, in seconds since 1970.'
    ' outcome: rotated; unknown: no such session; reused: an old token, so its session has now'
    ' ended (RFC 9700 4.14.2)';
grant execute on function auth.rotate(uuid, bytea, bytea, bytea, uuid, timestamptz, text, interval)
to punit_auth;

create or replace function auth.logout(p_user uuid, p_session uuid, p_jti uuid, p_exp timestamptz)
returns table (epoch bigint, exp timestamptz)
language plpgsql volatile rows 1
as $$
declare
    v_epoch   bigint;
    v_exp     timestamptz := coalesce(p_exp, now() + auth.access_life());
    v_session uuid;
begin
    select b.epoch into v_epoch from punit.bump(p_user) b;
    v_session := coalesce(p_session, auth.session_of(p_user, p_jti));
    if v_epoch is not null then
        perform auth.remove_session(p_user, v_session);
    elsif v_session is not null and not exists (
            select from auth.ended e where e.subject = v_session and e.kind = 'session') then
        -- The mesh may tell the owner late, so the row must outlive the refresh token.
        perform auth.record_end('session', v_session, null, now() + auth.refresh_life());
    end if;
    if not exists (select from auth.ended e where e.subject = p_jti and e.kind = 'jti') then
        perform auth.record_end('jti', p_jti, null, v_exp);
    end if;
    return query select v_epoch, v_exp;
end
$$;
comment on function auth.logout(uuid, uuid, uuid, timestamptz) is
    'ends this token and its session, at any unit: always one row, epoch null if the user is not'
    ' owned here. p_session null: looked up; p_exp null: assumed';
grant execute on function auth.logout(uuid, uuid, uuid, timestamptz) to punit_auth;

create or replace function auth.end_session(p_user uuid, p_session uuid)
returns table (epoch bigint, status int)
language plpgsql volatile rows 1
as $$
declare
    v_epoch bigint;
begin
    select b.epoch into v_epoch from punit.bump(p_user) b;
    if v_epoch is null then
        return;
    end if;
    return query
        select v_epoch, case when auth.remove_session(p_user, p_session) then 204 else 404 end;
end
$$;
comment on function auth.end_session(uuid, uuid) is 'DELETE /auth/sessions/{id}';
grant execute on function auth.end_session(uuid, uuid) to punit_auth;
