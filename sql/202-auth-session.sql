-- Credentials and sessions: rows of the user, which move with him.

create function auth.access_life() returns interval
language sql immutable parallel safe return interval '15 minutes';
comment on function auth.access_life() is 'how long an access token lives';

create function auth.refresh_life() returns interval
language sql immutable parallel safe return interval '30 days';
comment on function auth.refresh_life() is 'how long a session lives without a refresh';

create table auth.credential (
    user_id    uuid primary key,
    ver        bigint not null,
    name_hash  bytea not null check (length(name_hash) = 32),
    password   text not null check (password ~ '^\$argon2id\$'),
    roles      text[] not null default '{user}' check (roles <@ '{user,coach,editor}'),
    gen        bigint not null default 1 check (gen > 0),
    changed_at timestamptz not null default now()
);
comment on table auth.credential is 'what a user logs in with, and what he may do';
comment on column auth.credential.name_hash is 'his row of auth.name';
comment on column auth.credential.gen is 'tokens carry it; auth.ended of kind user ends those with a lower one';

create table auth.session (
    user_id    uuid not null,
    id         uuid not null,
    ver        bigint not null,
    created_at timestamptz not null default now(),
    seen_at    timestamptz not null default now(),
    expires_at timestamptz not null,
    client     text,
    jti        uuid[] not null,
    jti_exp    timestamptz[] not null,
    primary key (user_id, id),
    check (cardinality(jti) = cardinality(jti_exp))
);
comment on table auth.session is 'where a user is logged in; a row that is gone has ended';
comment on column auth.session.seen_at is 'last login or refresh';
comment on column auth.session.client is 'address of the client then';
comment on column auth.session.jti is 'its tokens that have not expired, ended one by one with the session: the grid knows tokens by jti';

create table auth.refresh (
    user_id    uuid not null,
    family     bytea not null check (length(family) = 32),
    session_id uuid not null,
    ver        bigint not null,
    current    bytea[] not null check (cardinality(current) between 1 and 8),
    previous   bytea[] not null default '{}',
    rotated_at timestamptz not null default now(),
    primary key (user_id, family),
    unique (user_id, session_id),
    foreign key (user_id, session_id) references auth.session deferrable initially deferred
);
comment on table auth.refresh is
    'the refresh token of a session, as SHA-256 sums: of its family part (the same all the session long) and of whole tokens. A token of the family that is none of current is an old one';
comment on column auth.refresh.current is
    'tokens that are good; several only where a client repeated within 10 s because it lost an answer';
comment on column auth.refresh.previous is 'what was current before rotated_at: may be repeated for 10 s';

select punit.register_user_table('auth.credential');
select punit.register_user_table('auth.session');
select punit.register_user_table('auth.refresh');

-- ---- parts of a transaction that has bumped the user

create function auth.add_session(p_user uuid, p_session uuid, p_jti uuid, p_exp timestamptz,
                                 p_family bytea, p_current bytea, p_client text)
returns void
language plpgsql volatile
as $$
begin
    insert into auth.session (user_id, id, expires_at, client, jti, jti_exp)
    values (p_user, p_session, now() + auth.refresh_life(), p_client, array[p_jti], array[p_exp]);
    insert into auth.refresh (user_id, family, session_id, current)
    values (p_user, p_family, p_session, array[p_current]);
end
$$;
comment on function auth.add_session(uuid, uuid, uuid, timestamptz, bytea, bytea, text) is
    'a session with its first pair of tokens; after the bump';

create function auth.remove_session(p_user uuid, p_session uuid) returns boolean
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
       from unnest(v.jti, v.jti_exp) as t (jti, exp) where t.exp > now();
    perform auth.record_end('session', p_session, null, now() + auth.access_life());
    return true;
end
$$;
comment on function auth.remove_session(uuid, uuid) is
    'ends a session and each of its tokens; false: there is none. After the bump';

-- A logout that another unit took arrives by the mesh as the end of a session; this unit, if it owns the user, knows
-- the session's tokens and names them to the grids of all units. ENABLE ALWAYS, and it must not raise.
create index session_id on auth.session (id);

create function auth.end_family() returns trigger
language plpgsql
as $$
begin
    perform auth.record_end('jti', t.jti, null, t.exp)
       from auth.session s
       join punit.own o on o.user_id = s.user_id and o.state = 'OWNED'
       cross join unnest(s.jti, s.jti_exp) as t (jti, exp)
      where s.id = new.subject and t.exp > now()
        and not exists (select from auth.ended e where e.subject = t.jti and e.kind = 'jti');
    return null;
exception when others then
    raise warning 'tokens of session % not ended: %', new.subject, sqlerrm;
    return null;
end
$$;
comment on function auth.end_family() is 'ends each token of a session that has ended elsewhere';

create trigger end_family after insert on auth.ended
    for each row when (new.kind = 'session') execute function auth.end_family();
alter table auth.ended enable always trigger end_family;

-- ---- whole transactions. No row: the user is not owned here, nothing was done.

-- security definer: it creates the user and, in another service's schema, his profile
create function auth.register(p_user uuid, p_hash bytea, p_password text, p_name text,
                              p_session uuid, p_jti uuid, p_exp timestamptz,
                              p_family bytea, p_current bytea, p_client text)
returns table (status int, epoch bigint, gen bigint, roles text)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch bigint;
begin
    -- two requests that finish the same registration: one makes the user, the other finds him
    begin
        v_epoch := punit.create_user(p_user);
    exception when unique_violation then
        return query select 409, null::bigint, null::bigint, null::text;
        return;
    end;
    insert into auth.credential (user_id, name_hash, password) values (p_user, p_hash, p_password);
    perform auth.add_session(p_user, p_session, p_jti, p_exp, p_family, p_current, p_client);
    perform profile.create(p_user, p_name);
    return query
        select 201, v_epoch, c.gen, array_to_string(c.roles, ' ')
          from auth.credential c where c.user_id = p_user;
end
$$;
comment on function auth.register(uuid, bytea, text, text, uuid, uuid, timestamptz, bytea, bytea, text) is
    'after the claim: the user, his credential, first session and profile, or none of it; 409: he is there already';

create function auth.login(p_user uuid, p_password text, p_session uuid, p_jti uuid, p_exp timestamptz,
                           p_family bytea, p_current bytea, p_client text, p_rehashed text)
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
    -- changed since the worker verified it
    if c.password is distinct from p_password then
        return query select v_epoch, 401, null::bigint, null::text;
        return;
    end if;
    if p_rehashed is not null then
        update auth.credential x set password = p_rehashed where x.user_id = p_user;
    end if;
    -- who logs in and never out must not grow without end
    perform auth.remove_session(p_user, s.id) from (
        select x.id, x.expires_at, row_number() over (order by x.seen_at desc) as n
          from auth.session x where x.user_id = p_user) s
     where s.expires_at < now() or s.n >= 100;
    perform auth.add_session(p_user, p_session, p_jti, p_exp, p_family, p_current, p_client);
    return query select v_epoch, 200, c.gen, array_to_string(c.roles, ' ');
end
$$;
comment on function auth.login(uuid, text, uuid, uuid, timestamptz, bytea, bytea, text, text) is
    'opens a session for whom the worker verified p_password, the stored hash; p_rehashed: its successor, or null';

create function auth.rotate(p_user uuid, p_family bytea, p_presented bytea, p_next bytea,
                            p_jti uuid, p_exp timestamptz, p_client text)
returns table (epoch bigint, outcome text, session uuid, gen bigint, roles text)
language plpgsql volatile rows 1
as $$
declare
    v_epoch bigint;
    f       auth.refresh;
    s       auth.session;
begin
    -- made-up tokens must not cost their alleged user a write
    select o.epoch into v_epoch from punit.own o where o.user_id = p_user and o.state = 'OWNED';
    if v_epoch is null then
        return;
    end if;
    if not exists (select from auth.refresh r where r.user_id = p_user and r.family = p_family) then
        return query select v_epoch, 'unknown', null::uuid, null::bigint, null::text;
        return;
    end if;

    select b.epoch into v_epoch from punit.bump(p_user) b;
    if v_epoch is null then
        return;
    end if;
    select * into f from auth.refresh r where r.user_id = p_user and r.family = p_family;
    select * into s from auth.session x where x.user_id = p_user and x.id = f.session_id;
    if f.session_id is null or s.expires_at < now()
       -- a logout that another unit took while this one was away
       or exists (select from auth.ended e where e.subject = f.session_id and e.kind = 'session') then
        perform auth.remove_session(p_user, f.session_id);
        return query select v_epoch, 'unknown', null::uuid, null::bigint, null::text;
        return;
    end if;

    if p_presented = any (f.current) then
        update auth.refresh r
           set current = array[p_next], previous = f.current, rotated_at = now()
         where r.user_id = p_user and r.family = p_family;
    elsif p_presented = any (f.previous) and f.rotated_at > now() - interval '10 seconds' then
        -- the answer was lost: another pair beside the lost one, the newest 8 of them
        update auth.refresh r
           set current = (p_next || f.current)[1:8]
         where r.user_id = p_user and r.family = p_family;
    else
        perform auth.remove_session(p_user, f.session_id);
        return query select v_epoch, 'reused', f.session_id, null::bigint, null::text;
        return;
    end if;

    update auth.session x
       set seen_at = now(), expires_at = now() + auth.refresh_life(), client = p_client,
           jti = t.jti, jti_exp = t.exp
      from (select array_agg(u.jti) as jti, array_agg(u.exp) as exp
              from (select l.jti, l.exp
                      from unnest(s.jti || p_jti, s.jti_exp || p_exp) as l (jti, exp)
                     where l.exp > now() order by l.exp desc limit 100) u) t
     where x.user_id = p_user and x.id = f.session_id;
    return query
        select v_epoch, 'rotated', f.session_id, c.gen, array_to_string(c.roles, ' ')
          from auth.credential c where c.user_id = p_user;
end
$$;
comment on function auth.rotate(uuid, bytea, bytea, bytea, uuid, timestamptz, text) is
    'exchanges a refresh token (SHA-256 of its family part and of the whole) for the next. outcome: rotated; unknown: no such session; reused: an old token, its session has now ended (RFC 9700 4.14.2)';

create function auth.session_of(p_user uuid, p_jti uuid) returns uuid
language sql stable
return (select s.id from auth.session s where s.user_id = p_user and p_jti = any (s.jti) limit 1);
comment on function auth.session_of(uuid, uuid) is 'the session that a token belongs to; null: not known here';

create function auth.logout(p_user uuid, p_session uuid, p_jti uuid, p_exp timestamptz)
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
        -- the owner hears of it by the mesh, perhaps late: it must outlive the refresh token
        perform auth.record_end('session', v_session, null, now() + auth.refresh_life());
    end if;
    if not exists (select from auth.ended e where e.subject = p_jti and e.kind = 'jti') then
        perform auth.record_end('jti', p_jti, null, v_exp);
    end if;
    return query select v_epoch, v_exp;
end
$$;
comment on function auth.logout(uuid, uuid, uuid, timestamptz) is
    'ends this token and its session, at any unit: always one row, epoch null where the user is not owned here. p_session, p_exp null: looked up, supposed';

create function auth.change_password(p_user uuid, p_session uuid, p_old text, p_new text)
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
    update auth.credential c set password = p_new, changed_at = now()
     where c.user_id = p_user and c.password = p_old;
    if not found then
        return query select v_epoch, 409;
        return;
    end if;
    perform auth.remove_session(p_user, s.id) from (
        select x.id from auth.session x where x.user_id = p_user and x.id is distinct from p_session) s;
    return query select v_epoch, 204;
end
$$;
comment on function auth.change_password(uuid, uuid, text, text) is
    'p_old, p_new: hashes; ends all sessions but p_session. 409: another change came between';

create function auth.end_session(p_user uuid, p_session uuid)
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

-- ---- the operator's acts, at the unit that owns the user

create function auth.bump_or_refuse(p_user uuid) returns void
language plpgsql volatile
as $$
begin
    if not exists (select from punit.bump(p_user)) then
        raise exception 'user % is not owned here', p_user
            using errcode = 'PU421', detail = coalesce((select o.unit from punit.owner_of(p_user) o), '');
    end if;
end
$$;
comment on function auth.bump_or_refuse(uuid) is 'the fence for operators: PU421, detail: the owner';

create function auth.grant_role(p_user uuid, p_role text) returns text[]
language plpgsql volatile
as $$
declare
    v_roles text[];
begin
    perform auth.bump_or_refuse(p_user);
    update auth.credential c
       set roles = case when p_role = any (c.roles) then c.roles else c.roles || p_role end
     where c.user_id = p_user returning c.roles into v_roles;
    return v_roles;
end
$$;
comment on function auth.grant_role(uuid, text) is
    'gives user, coach or editor; his next token carries it. Gives all his roles';

create function auth.end_user(p_user uuid) returns bigint
language plpgsql volatile
as $$
declare
    v_gen bigint;
begin
    perform auth.bump_or_refuse(p_user);
    update auth.credential c set gen = c.gen + 1 where c.user_id = p_user returning c.gen into v_gen;
    perform auth.remove_session(p_user, s.id)
       from (select x.id from auth.session x where x.user_id = p_user) s;
    perform auth.record_end('user', p_user, v_gen, now() + auth.access_life());
    return v_gen;
end
$$;
comment on function auth.end_user(uuid) is 'logs the user out everywhere; gives the generation of tokens to come';

create function auth.revoke_role(p_user uuid, p_role text) returns text[]
language plpgsql volatile
as $$
declare
    v_roles text[];
    v_gen   bigint;
begin
    perform auth.bump_or_refuse(p_user);
    update auth.credential c
       set roles = array_remove(c.roles, p_role), gen = c.gen + 1
     where c.user_id = p_user and p_role = any (c.roles)
    returning c.roles, c.gen into v_roles, v_gen;
    -- tokens that still carry the role end; the sessions go on and refresh to new ones
    if found then
        perform auth.record_end('user', p_user, v_gen, now() + auth.access_life());
    else
        select c.roles into v_roles from auth.credential c where c.user_id = p_user;
    end if;
    return v_roles;
end
$$;
comment on function auth.revoke_role(uuid, text) is 'takes a role away, at once. Gives the roles left';

revoke all on auth.credential, auth.session, auth.refresh from public;
grant select, insert, update, delete on auth.credential, auth.session, auth.refresh to punit_auth;
grant execute on function
    auth.access_life(), auth.refresh_life(),
    auth.add_session(uuid, uuid, uuid, timestamptz, bytea, bytea, text),
    auth.remove_session(uuid, uuid),
    auth.register(uuid, bytea, text, text, uuid, uuid, timestamptz, bytea, bytea, text),
    auth.login(uuid, text, uuid, uuid, timestamptz, bytea, bytea, text, text),
    auth.rotate(uuid, bytea, bytea, bytea, uuid, timestamptz, text),
    auth.session_of(uuid, uuid),
    auth.logout(uuid, uuid, uuid, timestamptz),
    auth.change_password(uuid, uuid, text, text),
    auth.end_session(uuid, uuid)
    to punit_auth;
