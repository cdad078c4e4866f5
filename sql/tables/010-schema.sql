-- What `punitctl schema` remembers: the files it has applied, what they made, and the version.
-- Files of tables/ are applied once, in the order of their numbers, and never change afterwards.
-- Files of functions/ hold the living text and are applied again whenever they change.
-- What a default, a check or a generated column calls belongs to its table and stays in tables/:
-- such functions (punit.self, social.pair) change by a new file that replaces them.

create schema punit;
comment on schema punit is
    'ownership of users, moves between units, and what the units know of each other';

create table punit.schema_file (
    name       text primary key,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table punit.schema_file is
    'local: the files of sql/ that punitctl schema has applied here';
comment on column punit.schema_file.name is 'path below sql/';

create table punit.schema_object (
    kind     text not null check (kind in ('function', 'view', 'trigger', 'event trigger')),
    identity text not null,
    file     text not null references punit.schema_file on delete cascade,
    primary key (kind, identity)
);
comment on table punit.schema_object is
    'local: what the files of functions/ made, so that punitctl schema drops what left its file';
comment on column punit.schema_object.identity is 'the name with argument types, as DROP takes it';

create table punit.schema_version (
    single     boolean primary key default true check (single),
    version    int not null check (version > 0),
    serves     int not null check (serves between 1 and version),
    applied_at timestamptz not null default clock_timestamp()
);
comment on table punit.schema_version is
    'local: the version of this schema; each program compares it when it connects';
comment on column punit.schema_version.serves is
    'the lowest version whose programs can serve on this schema';
