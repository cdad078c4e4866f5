-- Reference tables: every unit has their rows, and each row changes only at its origin. The
-- generation tells the grid which documents made of them are still true.

create table punit.reference_table (
    tab           text primary key,
    service       text not null,
    registered_at timestamptz not null default now(),
    triggers_md5  text
);
comment on table punit.reference_table is 'tables whose rows the mesh brings to every unit';
comment on column punit.reference_table.tab is 'schema.table';
comment on column punit.reference_table.service is
    'the table''s schema: changes raise the generation of this service';
comment on column punit.reference_table.triggers_md5 is 'as in punit.user_table';

create table punit.generation (
    service     text not null,
    origin_unit text not null,
    gen         bigint not null default 1,
    primary key (service, origin_unit)
) with (fillfactor = 50);
comment on table punit.generation is
    'local: rises once for each transaction that changes a service''s reference rows. One row for'
    ' each origin, because two apply workers that share a row would deadlock';

grant select on punit.reference_table to punit_service, punit_gridd, punit_peer;
