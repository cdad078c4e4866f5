-- Training: programmes, ordered exercises with sets, repetitions and rest.

create table training.programme (
    origin_unit    text not null default punit.self(),
    id             uuid not null default gen_random_uuid(),
    name           training.name not null,
    description    text check (length(description) <= 5000),
    level          training.level,
    -- one value, not rows of its own: a new list would delete rows, and reference rows stay
    exercises      jsonb not null check (jsonb_typeof(exercises) = 'array'),
    request_sha256 training.digest,
    retired_at     timestamptz(3),
    updated_at     timestamptz(3) not null default now(),
    primary key (id, origin_unit)
);
comment on table training.programme is 'one programme; reference data, each row with one author';
comment on column training.programme.exercises is
    'ordered array of {exercise_id, sets, repetitions, rest_s}';
comment on column training.programme.request_sha256 is 'as in training.exercise';
create index programme_by_name on training.programme (name, id) where retired_at is null;

insert into punit.reference_table (tab, service) values ('training.programme', 'training');

grant select, insert, update on training.programme to punit_training;
