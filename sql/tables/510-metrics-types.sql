-- Metrics: types of measurement, reference data.

create schema metrics;
comment on schema metrics is
    'service metrics: types of measurement (reference data) and the samples of each user';
grant usage on schema metrics to punit_metrics;

create table metrics.type (
    origin_unit    text not null default punit.self(),
    id             uuid not null default gen_random_uuid(),
    name           text not null check (length(name) between 1 and 100),
    unit           text not null check (unit ~ '^[!-~]{1,32}$'),
    min            double precision check (min > '-infinity' and min < 'infinity'),
    max            double precision check (max > '-infinity' and max < 'infinity'),
    request_sha256 bytea check (length(request_sha256) = 32),
    retired_at     timestamptz(3),
    updated_at     timestamptz(3) not null default now(),
    primary key (origin_unit, id),
    check (min <= max)
);
comment on table metrics.type is
    'one kind of measurement; reference data, each row with one author';
comment on column metrics.type.unit is 'UCUM, case sensitive: kg, /min, mm[Hg]';
comment on column metrics.type.min is 'smallest value that a sample may have; null: no limit';
comment on column metrics.type.max is 'greatest value that a sample may have; null: no limit';
comment on column metrics.type.request_sha256 is
    'body of the POST that made the row with an Idempotency-Key; the id is then made from that key';

-- Of twins (one id, two authors) the one of the lowest unit id counts, in every unit alike.
create index type_id on metrics.type (id, origin_unit);

insert into punit.reference_table (tab, service) values ('metrics.type', 'metrics');

grant select, insert, update on metrics.type to punit_metrics;
