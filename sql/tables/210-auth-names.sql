-- Login names: the directory of the keyed hashes of e-mail addresses. A hash is claimed at its
-- arbiter, one unit for each first byte, so it is unique in the system. The mesh brings every unit
-- a copy for logins.

create schema auth;
comment on schema auth is
    'service auth: login names, credentials, sessions, and the tokens that have ended';
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
    'replicated: login names, as HMAC-SHA256 of the e-mail address under the pepper; origin_unit is'
    ' the arbiter';
comment on column auth.name.unit is
    'the unit where the user registered; punit.home says where the user is now';
create index name_hash on auth.name (hash);
create index name_user on auth.name (user_id);

grant select on auth.bucket, auth.name to punit_auth;
