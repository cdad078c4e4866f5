-- Deleted keys of registered tables: they let a deletion travel to copies.

create table punit.tomb (
    user_id uuid not null,
    ver     bigint not null,
    tab     text not null,
    pk      jsonb not null,
    buried_at timestamptz not null default now(),
    primary key (user_id, ver, tab, pk)
);
comment on table punit.tomb is
    'deleted keys, so that a copy at a lower ver can follow; collected after 30 days (own.gc_ver)';
comment on column punit.tomb.tab is 'schema.table, as in punit.user_table';
comment on column punit.tomb.pk is
    'array of the key''s values without user_id, in the order of user_table.key';
create index tomb_old on punit.tomb using brin (buried_at) with (autosummarize = on);

grant select on punit.tomb to punit_mover, punit_peer;
grant insert, delete on punit.tomb to punit_mover;
