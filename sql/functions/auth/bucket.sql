-- The buckets: the arbiter of each first byte of a hash.

create or replace function auth.assign_buckets(p_units text[], p_move boolean default false)
returns integer
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
    'deals the 256 buckets to the units, round robin by id, and says how many changed. The result'
    ' depends on the list and the names alone, so all units with all names agree. A bucket that'
    ' holds names stays at its arbiter unless p_move';

create or replace function auth.buckets() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select array_agg(b.unit order by b.bucket) from auth.bucket b having count(*) = 256 $$;
comment on function auth.buckets() is
    'the arbiters of buckets 0 to 255; null: not dealt yet. A unit that joins a running system'
    ' takes them from a peer, since it does not have the names yet';
grant execute on function auth.buckets() to punit_peer;

create or replace function auth.set_buckets(p_units text[]) returns integer
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
comment on function auth.set_buckets(text[]) is
    'stores what auth.buckets() gave at a peer; says how many changed';

-- ENABLE ALWAYS: punit.forget_unit deals buckets as a replica does.
create or replace function auth.note_author() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into punit.name_author (bucket, unit) values (old.bucket, old.unit)
    on conflict do nothing;
    return null;
end
$$;
comment on function auth.note_author() is 'a former arbiter keeps the names that it has recorded';

create or replace trigger note_author after update on auth.bucket
    for each row when (old.unit <> new.unit) execute function auth.note_author();
alter table auth.bucket enable always trigger note_author;

create or replace function auth.name_authors() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(a.bucket || ' ' || a.unit order by a.bucket, a.unit), '{}')
      from punit.name_author a
$$;
comment on function auth.name_authors() is
    'the former arbiters, "<bucket> <unit>" each. A unit that joins takes them from the peer that'
    ' it takes the arbiters from';
grant execute on function auth.name_authors() to punit_peer;

create or replace function auth.set_name_authors(p_authors text[]) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
    insert into punit.name_author (bucket, unit)
    select split_part(a, ' ', 1)::int, split_part(a, ' ', 2) from unnest(p_authors) a
    on conflict do nothing
$$;
comment on function auth.set_name_authors(text[]) is
    'stores what auth.name_authors() gave at a peer';
