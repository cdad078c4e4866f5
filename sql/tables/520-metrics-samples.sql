-- Metrics: the samples of each user, written in bulk.

create table metrics.sample (
    user_id     uuid not null,
    type_id     uuid not null,
    at          timestamptz(3) not null check (at >= '1900-01-01Z' and at < '2200-01-01Z'),
    value       double precision not null,
    activity_id uuid,
    ver         bigint not null,
    primary key (user_id, type_id, at)
) partition by range (at);
comment on table metrics.sample is
    'one measured value of a user; a second one of the same type and time replaces it';
comment on column metrics.sample.activity_id is
    'the activity in which it was measured; checked when the sample is written, kept when the'
    ' activity is deleted';
-- A user can have far more than 5,000 samples, of which a move sends those above a ver.
create index sample_ver on metrics.sample (user_id, ver);

-- The guard of thousands of rows is one check a statement; the writer stamps ver.
insert into punit.user_table (tab, guard) values ('metrics.sample', 'statement');
insert into punit.month_table (tab, col) values ('metrics.sample', 'at');
insert into punit.user_reference (tab, col, ref_tab, ref_col)
values ('metrics.sample', 'type_id', 'metrics.type', 'id');
insert into punit.exporter (service, fn, tabs)
values ('metrics', 'metrics.export', '{metrics.sample}');

grant select, insert, update, delete on metrics.sample to punit_metrics;
