-- Login names: the directory of the keyed hashes of e-mail addresses. A hash is
-- claimed at its arbiter, one unit for each first byte, and so exists once in the
-- whole system; the mesh brings every unit a copy to log in with.

create schema auth;
comment on schema auth is 'who may log in: names, credentials, sessions, and which tokens have ended';
grant usage on schema auth to punit_auth, punit_gridd, punit_peer;

create table auth.bucket (
    bucket int primary key check (bucket between 0 and 255),
    unit   text not null check (unit ~ '^[a-z0-9-]{1,32}$')
);
comment on table auth.bucket is
    'the arbiter of each first byte of a hash; the same in all units, changed by punitctl alone';

create table auth.name (
    origin_unit text not null default punit.self(),
    hash        bytea not null check (length(hash) = 32),
    user_id     uuid not null,
    unit        text not null check (unit ~ '^[a-z0-9-]{1,32}$'),
    claimed_at  timestamptz not null default now(),
    primary key (origin_unit, hash)
);
comment on table auth.name is
    'login names, replicated: HMAC-SHA256 of the e-mail under the pepper -> user; origin_unit is the arbiter';
comment on column auth.name.unit is 'where he registered; where he is now, punit.home says';
create index name_hash on auth.name (hash);
create index name_user on auth.name (user_id);

create function auth.arbiter(p_hash bytea) returns text
language sql stable
return (select b.unit from auth.bucket b where b.bucket = get_byte(p_hash, 0));
comment on function auth.arbiter(bytea) is 'the unit that decides who has this name; null: no bucket table yet';

create function auth.find_name(p_hash bytea)
returns table (user_id uuid, unit text, arbiter text)
language sql stable rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
    select n.user_id, n.unit, auth.arbiter(p_hash)
      from (values (1)) one
      left join lateral (select x.user_id, x.unit from auth.name x where x.hash = p_hash
                          order by x.claimed_at, x.origin_unit limit 1) n on true
$$;
comment on function auth.find_name(bytea) is
    'always one row: whose name it is as far as this unit knows (null: nobody''s), and its arbiter';

create function auth.claim_name(p_hash bytea, p_user uuid, p_unit text)
returns table (user_id uuid, unit text)
language plpgsql volatile rows 1 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_arbiter text;
begin
    if length(p_hash) is distinct from 32 or p_user is null or p_unit is null then
        raise exception 'a name is a hash of 32 bytes, a user and a unit' using errcode = 'PU500';
    end if;
    if punit.caller() is not null and punit.caller() <> p_unit then
        raise exception 'unit % claims a name for unit %', punit.caller(), p_unit
            using errcode = '42501';
    end if;
    -- the share lock makes a move of the bucket wait for this claim, and this claim for a move
    select b.unit into v_arbiter from auth.bucket b where b.bucket = get_byte(p_hash, 0) for share;
    if v_arbiter is distinct from punit.self() then
        raise exception 'not the arbiter of this name'
            using errcode = 'PU421', detail = coalesce(v_arbiter, '');
    end if;
    -- a name that an earlier arbiter recorded stays as it is
    if not exists (select from auth.name x where x.hash = p_hash) then
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
    'at the arbiter: takes the name for the user unless it is taken, and says whose it is and where he registered. Repeating it changes nothing. PU421 (detail: the arbiter): ask there';

create function auth.assign_buckets(p_units text[], p_move boolean default false) returns integer
language plpgsql volatile
as $$
declare
    v_changed int;
begin
    if coalesce(cardinality(p_units), 0) = 0 then
        raise exception 'no unit to be arbiter' using errcode = 'PU500';
    end if;
    -- claims under way take a share lock on their bucket's row: wait for them, hold off new ones
    lock table auth.bucket in exclusive mode;
    with unit as (
        select u.id, row_number() over (order by u.id collate "C") - 1 as i, count(*) over () as n
          from (select distinct unnest(p_units) as id) u),
    wanted as (
        select b as bucket,
               case when p_move then unit.id
                    -- a bucket with names stays where its names are authored
                    else coalesce(case when named.origin_unit is not null
                                       then coalesce(have.unit, named.origin_unit) end, unit.id)
               end as unit
          from generate_series(0, 255) b
          join unit on unit.i = b % unit.n
          left join auth.bucket have on have.bucket = b
          left join lateral (
                select x.origin_unit from auth.name x
                 where x.hash >= set_byte('\x00', 0, b)
                   and (b = 255 or x.hash < set_byte('\x00', 0, (b + 1) % 256))
                 order by x.hash, x.claimed_at, x.origin_unit limit 1) named on true)
    insert into auth.bucket as t (bucket, unit)
    select w.bucket, w.unit from wanted w
    on conflict (bucket) do update set unit = excluded.unit where t.unit <> excluded.unit;
    get diagnostics v_changed = row_count;
    return v_changed;
end
$$;
comment on function auth.assign_buckets(text[], boolean) is
    'deals the 256 buckets to the units, round robin by id, and says how many changed. The outcome depends on the list and on the names alone, so every unit that has all names comes to the same. A bucket that holds names stays at its arbiter unless p_move';

create function auth.buckets() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select array_agg(b.unit order by b.bucket) from auth.bucket b having count(*) = 256 $$;
comment on function auth.buckets() is
    'the arbiters of buckets 0 to 255; null: not dealt yet. A unit that joins a running system takes them from a peer, since it does not have the names yet';

create function auth.set_buckets(p_units text[]) returns integer
language plpgsql volatile
as $$
declare
    v_changed int;
begin
    if cardinality(p_units) is distinct from 256 then
        raise exception 'there are 256 buckets' using errcode = 'PU500';
    end if;
    lock table auth.bucket in exclusive mode;
    insert into auth.bucket as t (bucket, unit)
    select u.n - 1, u.unit from unnest(p_units) with ordinality u (unit, n)
    on conflict (bucket) do update set unit = excluded.unit where t.unit <> excluded.unit;
    get diagnostics v_changed = row_count;
    return v_changed;
end
$$;
comment on function auth.set_buckets(text[]) is 'takes over what auth.buckets() gave at a peer; gives how many changed';

revoke all on all tables in schema auth from public;
grant select on auth.bucket, auth.name to punit_auth;
grant execute on function auth.find_name(bytea), auth.claim_name(bytea, uuid, text)
    to punit_auth, punit_peer;
grant execute on function auth.arbiter(bytea) to punit_auth;
grant execute on function auth.buckets() to punit_peer;
-- claims go to the arbiter over libpq; a conninfo holds no secret
grant select on punit.peer to punit_auth;
