-- Registration, login and passwords, each a whole transaction. No row: the user is not owned here,
-- and nothing was done.

-- security definer: it creates the user, and the profile in another service's schema
create or replace function auth.register(p_user uuid, p_hash bytea, p_password text, p_name text,
                                         p_session uuid, p_jti uuid, p_exp timestamptz,
                                         p_family bytea, p_current bytea, p_client text,
                                         p_life interval default auth.session_life())
returns table (status int, epoch bigint, gen bigint, roles text)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch bigint;
begin
    -- Two requests may finish the same registration: one makes the user, the other finds the row.
    begin
        v_epoch := punit.create_user(p_user);
    exception when unique_violation then
        return query select 409, null::bigint, null::bigint, null::text;
        return;
    end;
    insert into auth.credential (user_id, name_hash, password) values (p_user, p_hash, p_password);
    perform auth.add_session(p_user, p_session, p_jti, p_exp, p_family, p_current, p_client,
                             p_life);
    perform profile.create(p_user, p_name);
    return query
        select 201, v_epoch, c.gen, array_to_string(c.roles, ' ')
          from auth.credential c where c.user_id = p_user;
end
$$;
comment on function auth.register(uuid, bytea, text, text, uuid, uuid, timestamptz, bytea, bytea,
                                  text, interval) is
    'after the claim: makes the user, the credential, the first session and the profile, or'
    ' nothing; 409: the user exists already';
grant execute on function auth.register(uuid, bytea, text, text, uuid, uuid, timestamptz, bytea,
                                        bytea, text, interval) to punit_auth;

create or replace function auth.login(p_user uuid, p_password text, p_session uuid, p_jti uuid,
                                      p_exp timestamptz, p_family bytea, p_current bytea,
                                      p_client text, p_rehashed text,
                                      p_life interval default auth.session_life())
returns table (epoch bigint, status int, gen bigint, roles text)
language plpgsql volatile rows 1
as $$
declare
    v_epoch bigint;
    c       auth.credential;
begin
    select b.epoch into v_epoch from punit.bump(p_user) b;
    if v_epoch is null then
        return;
    end if;
    select * into c from auth.credential x where x.user_id = p_user;
    -- The password has changed since the worker verified it.
    if c.password is distinct from p_password then
        return query select v_epoch, 401, null::bigint, null::text;
        return;
    end if;
    if p_rehashed is not null then
        update auth.credential x set password = p_rehashed where x.user_id = p_user;
    end if;
    -- Sessions of a user who never logs out must not accumulate.
    perform auth.remove_session(p_user, s.id) from (
        select x.id, x.expires_at, row_number() over (order by x.seen_at desc) as n
          from auth.session x where x.user_id = p_user) s
     where s.expires_at < now() or s.n >= 100;
    perform auth.add_session(p_user, p_session, p_jti, p_exp, p_family, p_current, p_client,
                             p_life);
    return query select v_epoch, 200, c.gen, array_to_string(c.roles, ' ');
end
$$;
comment on function auth.login(uuid, text, uuid, uuid, timestamptz, bytea, bytea, text, text,
                               interval) is
    'opens a session for a user whose password the worker has verified against p_password, the'
    ' stored hash; p_rehashed: its successor, or null';
grant execute on function auth.login(uuid, text, uuid, uuid, timestamptz, bytea, bytea, text, text,
                                     interval) to punit_auth;

create or replace function auth.change_password(p_user uuid, p_session uuid, p_old text,
                                                p_new text) returns table (epoch bigint, status int)
language plpgsql volatile rows 1
as $$
declare
    v_epoch bigint;
begin
    select b.epoch into v_epoch from punit.bump(p_user) b;
    if v_epoch is null then
        return;
    end if;
    update auth.credential c set password = p_new, changed_at = now()
     where c.user_id = p_user and c.password = p_old;
    if not found then
        return query select v_epoch, 409;
        return;
    end if;
    perform auth.remove_session(p_user, s.id) from (
        select x.id from auth.session x where x.user_id = p_user and x.id is distinct
            from p_session) s;
    return query select v_epoch, 204;
end
$$;
comment on function auth.change_password(uuid, uuid, text, text) is
    'p_old, p_new: hashes; ends all sessions but p_session. 409: another change came between';
grant execute on function auth.change_password(uuid, uuid, text, text) to punit_auth;
