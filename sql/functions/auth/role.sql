-- What an operator does to a user, at the unit that owns the user.

create or replace function auth.bump_or_refuse(p_user uuid) returns void
language plpgsql volatile
as $$
begin
    if not exists (select from punit.bump(p_user)) then
        raise exception 'user % is not owned here', p_user
            using errcode = 'PU421',
                detail = coalesce((select o.unit from punit.owner_of(p_user) o), '');
    end if;
end
$$;
comment on function auth.bump_or_refuse(uuid) is 'the bump for operators: PU421, detail: the owner';

create or replace function auth.role_or_refuse(p_role text) returns void
language plpgsql immutable
as $$
begin
    if p_role <> all ('{user,coach,editor}') then
        raise exception 'there is no role %; the roles are user, coach and editor', p_role
            using errcode = 'PU422';
    end if;
end
$$;
comment on function auth.role_or_refuse(text) is 'PU422: no such role';

create or replace function auth.grant_role(p_user uuid, p_role text) returns text[]
language plpgsql volatile
as $$
declare
    v_roles text[];
begin
    perform auth.role_or_refuse(p_role);
    perform auth.bump_or_refuse(p_user);
    update auth.credential c
       set roles = case when p_role = any (c.roles) then c.roles else c.roles || p_role end
     where c.user_id = p_user returning c.roles into v_roles;
    return v_roles;
end
$$;
comment on function auth.grant_role(uuid, text) is
    'grants user, coach or editor; the user''s next token carries it. Gives all roles of the user';

create or replace function auth.end_user(p_user uuid) returns bigint
language plpgsql volatile
as $$
declare
    v_gen bigint;
begin
    perform auth.bump_or_refuse(p_user);
    update auth.credential c set gen = c.gen + 1 where c.user_id = p_user returning c.gen
        into v_gen;
    perform auth.remove_session(p_user, s.id)
       from (select x.id from auth.session x where x.user_id = p_user) s;
    perform auth.record_end('user', p_user, v_gen, now() + auth.access_life());
    return v_gen;
end
$$;
comment on function auth.end_user(uuid) is
    'logs the user out everywhere; gives the generation of tokens to come';

create or replace function auth.revoke_role(p_user uuid, p_role text) returns text[]
language plpgsql volatile
as $$
declare
    v_roles text[];
    v_gen   bigint;
begin
    perform auth.role_or_refuse(p_role);
    perform auth.bump_or_refuse(p_user);
    update auth.credential c
       set roles = array_remove(c.roles, p_role), gen = c.gen + 1
     where c.user_id = p_user and p_role = any (c.roles)
    returning c.roles, c.gen into v_roles, v_gen;
    -- Tokens that still carry the role end. The sessions continue, and their refresh gives new
    -- tokens.
    if found then
        perform auth.record_end('user', p_user, v_gen, now() + auth.access_life());
    else
        select c.roles into v_roles from auth.credential c where c.user_id = p_user;
    end if;
    return v_roles;
end
$$;
comment on function auth.revoke_role(uuid, text) is
    'takes a role away, at once. Gives the roles left';

create or replace function auth.roles_of(p_user uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select array_to_string(c.roles, ' ') from auth.credential c where c.user_id = p_user $$;
comment on function auth.roles_of(uuid) is
    'the roles of a user as this unit has them, for punitctl user, here and at peers';
grant execute on function auth.roles_of(uuid) to punit_peer;
