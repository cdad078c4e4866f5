-- Login names at their arbiter.

create or replace function auth.arbiter(p_hash bytea) returns text
language sql stable
return (select b.unit from auth.bucket b where b.bucket = get_byte(p_hash, 0));
comment on function auth.arbiter(bytea) is
    'the unit that decides who has this name; null: there is no bucket table yet';
grant execute on function auth.arbiter(bytea) to punit_auth;

-- The arbiter's row counts before that of a former one. No clock decides.
create or replace function auth.find_name(p_hash bytea)
returns table (user_id uuid, unit text, arbiter text)
language sql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
    select n.user_id, n.unit, auth.arbiter(p_hash)
      from (values (1)) one
      left join lateral (select x.user_id, x.unit from auth.name x where x.hash = p_hash
                          order by x.origin_unit <> auth.arbiter(p_hash), x.origin_unit
                          limit 1) n on true
$$;
comment on function auth.find_name(bytea) is
    'always one row: the user of a name as far as this unit knows (null: no user), and its arbiter';
grant execute on function auth.find_name(bytea) to punit_auth, punit_peer;

create or replace function auth.claim_name(p_hash bytea, p_user uuid, p_unit text)
returns table (user_id uuid, unit text)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_arbiter text;
begin
    if length(p_hash) is distinct from 32 or p_user is null or p_unit is null then
        raise exception 'a name is a hash of 32 bytes, a user and a unit' using errcode = 'PU500';
    end if;
    if punit.caller() <> p_unit then
        perform punit.note_refusal(punit.caller(), 'call', 'claim-for-another',
                                   format('unit=%s user=%s', p_unit, p_user));
        return;
    end if;
    -- The share lock makes a change of the bucket's unit and this claim wait for each other.
    select b.unit into v_arbiter from auth.bucket b where b.bucket = get_byte(p_hash, 0) for share;
    if v_arbiter is distinct from punit.self() then
        raise exception 'not the arbiter of this name'
            using errcode = 'PU421', detail = coalesce(v_arbiter, '');
    end if;
    -- An erased user gets no name, and holds none longer than this unit does not know better.
    if exists (select from punit.own o where o.user_id = p_user and o.state = 'ERASED') then
        raise exception 'user % is erased', p_user using errcode = 'PU503';
    end if;
    delete from auth.name x
     where x.hash = p_hash and x.origin_unit = punit.self()
       and exists (select from punit.own o where o.user_id = x.user_id and o.state = 'ERASED');
    -- a name that an earlier arbiter recorded stays as it is
    if not exists (select from auth.name x where x.hash = p_hash) then
        -- A name is claimed before its user is made.
        if punit.caller() is not null and (select w.unit is not null or w.state <> 'COPY'
               from punit.owner_of(p_user) w)
           and not punit.speaks_for(p_unit, p_user) then
            perform punit.note_refusal(punit.caller(), 'call', 'claim-other-user',
                                       format('user=%s', p_user));
            return;
        end if;
        insert into auth.name (origin_unit, hash, user_id, unit)
        values (punit.self(), p_hash, p_user, p_unit)
        on conflict (origin_unit, hash) do nothing;
    end if;
    return query
        select x.user_id, x.unit from auth.name x where x.hash = p_hash
         order by x.origin_unit <> v_arbiter, x.origin_unit limit 1;
end
$$;
comment on function auth.claim_name(bytea, uuid, text) is
    'at the arbiter: gives the name to the user unless it is taken, and says who has it and where'
    ' that user registered. A repeat changes nothing. No row: the caller may not claim it. PU421'
    ' (detail: the arbiter): ask there';
grant execute on function auth.claim_name(bytea, uuid, text) to punit_auth, punit_peer;

-- Which names a peer may write.
--
-- name-author: the arbiter of the name's bucket writes it. Rows of a former arbiter stay
-- (punit.name_author), and so do those that a unit has adopted from one. A unit that has no
-- arbiters yet cannot tell.
--
-- name-owned-here: the name is that of a user who is OWNED here, by the user's own credential. No
-- arbiter gives it to another user, or away, before the user is erased.
--
-- name-taken: a unit that is no arbiter of the name any more has no new word about it.
create or replace function auth.wall_name() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_peer    text := punit.mesh_peer();
    v_row     auth.name;
    v_arbiter text;
    v_rule    text;
begin
    if tg_op = 'DELETE' then
        v_row := old;
    else
        v_row := new;
    end if;
    if v_peer is null then
        return v_row;
    end if;
    if length(v_row.hash) is distinct from 32 then
        perform punit.refuse_row(v_peer, 'name-author', tg_op || ' of what is no hash');
        return null;
    end if;
    v_arbiter := auth.arbiter(v_row.hash);
    if v_arbiter <> v_peer and tg_op <> 'DELETE' and not exists (
            select from (select a.unit from punit.name_author a
                          where a.bucket = get_byte(v_row.hash, 0)
                         union all select v_arbiter) w
             where w.unit = v_peer or punit.has_adopted(v_peer, w.unit))
    then
        v_rule := 'name-author';
    elsif exists (select from auth.name x
                    join punit.own o on o.user_id = x.user_id and o.state = 'OWNED'
                    join auth.credential c on c.user_id = x.user_id and c.name_hash = x.hash
                   where x.hash = v_row.hash
                     and (tg_op = 'DELETE' and x.origin_unit = v_peer
                          or tg_op <> 'DELETE' and x.user_id <> v_row.user_id)) then
        v_rule := 'name-owned-here';
    elsif tg_op <> 'DELETE' and v_arbiter <> v_peer
          and exists (select from auth.name x
                      where x.hash = v_row.hash and x.origin_unit <> v_peer
                        and x.user_id <> v_row.user_id) then
        v_rule := 'name-taken';
    else
        return v_row;
    end if;
    perform punit.refuse_row(v_peer, v_rule, format('%s of name %s.. for user %s, arbiter %s',
        tg_op, left(encode(v_row.hash, 'hex'), 8), v_row.user_id, coalesce(v_arbiter, 'unknown')));
    return null;
end
$$;
comment on function auth.wall_name() is
    'rules name-author, name-owned-here and name-taken: which login names a peer may write';

create or replace trigger punit_wall before insert or update or delete on auth.name
    for each row execute function punit.wall_origin();
alter table auth.name enable replica trigger punit_wall;
create or replace trigger punit_wall_name before insert or update or delete on auth.name
    for each row execute function auth.wall_name();
alter table auth.name enable replica trigger punit_wall_name;
