-- Login names at their arbiter.

create or replace function auth.arbiter(p_hash bytea) returns text
language sql stable
return (select b.unit from auth.bucket b where b.bucket = get_byte(p_hash, 0));
comment on function auth.arbiter(bytea) is
    'the unit that decides who has this name; null: there is no bucket table yet';
grant execute on function auth.arbiter(bytea) to punit_auth;

create or replace function auth.find_name(p_hash bytea)
returns table (user_id uuid, unit text, arbiter text)
language sql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
    select n.user_id, n.unit, auth.arbiter(p_hash)
      from (values (1)) one
      left join lateral (select x.user_id, x.unit from auth.name x where x.hash = p_hash
                          order by x.claimed_at, x.origin_unit limit 1) n on true
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
         order by x.claimed_at, x.origin_unit limit 1;
end
$$;
comment on function auth.claim_name(bytea, uuid, text) is
    'at the arbiter: gives the name to the user unless it is taken, and says who has it and where'
    ' that user registered. A repeat changes nothing. No row: the caller may not claim it. PU421'
    ' (detail: the arbiter): ask there';
grant execute on function auth.claim_name(bytea, uuid, text) to punit_auth, punit_peer;
