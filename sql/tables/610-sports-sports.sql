-- Sports: the kinds of sport, reference data.

create schema sports;
comment on schema sports is
    'service sports: kinds of sport (reference data) and the activities of each user';
grant usage on schema sports to punit_sports, punit_metrics, punit_social;

create table sports.sport (
    origin_unit    text not null default punit.self(),
    id             uuid not null default gen_random_uuid(),
    name           text not null check (length(name) between 1 and 100),
    category       text not null check (length(category) between 1 and 50),
    met            double precision not null check (met > 0 and met <= 30),
    request_sha256 bytea check (length(request_sha256) = 32),
    retired_at     timestamptz(3),
    updated_at     timestamptz(3) not null default now(),
    primary key (origin_unit, id)
);
comment on table sports.sport is 'one kind of sport; reference data, each row with one author';
comment on column sports.sport.met is 'metabolic equivalent: energy in kcal = met x kg x hours';
comment on column sports.sport.request_sha256 is
    'body of the POST that made the row with an Idempotency-Key; the id is then made from that key';

-- Of twins (one id, two authors) the one of the lowest unit id counts, in every unit alike.
create index sport_id on sports.sport (id, origin_unit);

insert into punit.reference_table (tab, service) values ('sports.sport', 'sports');

grant select, insert, update on sports.sport to punit_sports;
