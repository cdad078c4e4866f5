-- The roles as which this unit writes what its peers send, and who may have authored login names.

do $$
begin
    if not exists (select from pg_roles where rolname = 'punit_mesh') then
        create role punit_mesh nologin;
    end if;
    execute format('grant connect on database %I to punit_mesh', current_database());
end
$$;
comment on role punit_mesh is
    'group of the roles punit_mesh_<unit id>, each of which owns the subscription to that peer. An'
    ' apply worker is one of them; no session can be';

-- What the triggers ask: this unit's id, and who owns a user.
grant usage on schema punit to punit_mesh;
grant select on punit.me to punit_mesh;
grant select (user_id, state, epoch) on punit.own to punit_mesh;
grant execute on function punit.self() to punit_mesh;

create table punit.name_author (
    bucket int not null check (bucket between 0 and 255),
    unit   text not null check (unit ~ '^[a-z0-9-]{1,32}$'),
    primary key (bucket, unit)
);
comment on table punit.name_author is
    'local: units that may have rows of auth.name in a bucket beside its arbiter: a former arbiter,'
    ' and the unit that adopted what a former arbiter wrote';

-- An upgrade: what is here was written before there was this table.
do $$
begin
    if to_regclass('auth.name') is not null then
        insert into punit.name_author (bucket, unit)
        select distinct get_byte(n.hash, 0), n.origin_unit from auth.name n;
    end if;
end
$$;
