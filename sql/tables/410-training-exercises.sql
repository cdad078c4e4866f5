-- Training: exercises, the same in every unit. Only the unit that wrote a row (origin_unit) changes
-- it; the mesh brings it to the others.

create schema training;
comment on schema training is
    'service training: the catalogue of exercises and programmes, reference data';
grant usage on schema training to punit_training, punit_sports;

-- The types of the columns check their values, not the table: an apply worker parses and plans the
-- checks of a table for each row, which took half of its time.
create domain training.slug as text check (length(value) between 1 and 100
                                           and value !~ '[[:space:]/]');
create domain training.name as text collate "C" check (length(value) between 1 and 200);
create domain training.label as text check (length(value) between 1 and 50);
create domain training.force as text check (value in ('push', 'pull', 'static'));
create domain training.level as text check (value in ('beginner', 'intermediate', 'expert'));
create domain training.mechanic as text check (value in ('compound', 'isolation'));
create domain training.digest as bytea check (length(value) = 32);
comment on domain training.name is 'sorted by code point, so all units sort alike';
comment on domain training.label is
    'a word or two that exercises share: a category, a kind of equipment';
comment on domain training.digest is 'SHA-256';

create table training.exercise (
    origin_unit       text not null default punit.self(),
    id                uuid not null default gen_random_uuid(),
    slug              training.slug not null,
    name              training.name not null,
    force             training.force,
    level             training.level not null,
    mechanic          training.mechanic,
    equipment         training.label,
    category          training.label not null,
    primary_muscles   text[] not null default '{}',
    secondary_muscles text[] not null default '{}',
    instructions      text[] not null default '{}',
    images            text[] not null default '{}',
    -- folded by ICU, whatever the locale of the database is, so that units agree
    search            text generated always as (lower(name collate "und-x-icu")) stored,
    request_sha256    training.digest,
    retired_at        timestamptz(3),
    updated_at        timestamptz(3) not null default now(),
    primary key (id, origin_unit)
);
comment on table training.exercise is 'one exercise; reference data, each row with one author';
comment on column training.exercise.request_sha256 is
    'body of the POST that made the row with an Idempotency-Key; the id is then made from that key';
comment on column training.exercise.retired_at is
    'rows are never deleted: programmes of other units may still name them';

-- No unique key leaves out origin_unit: two units may write the same id before they hear of each
-- other, and the mesh must not stop on it. Of such twins the one of the lowest unit id counts.
-- There is no index by level: there are three levels, so the index by name fills a page quickly.
create index exercise_by_name on training.exercise (name, id) where retired_at is null;
create index exercise_by_category on training.exercise (category, name, id)
    where retired_at is null;
create index exercise_by_equipment on training.exercise (equipment, name, id)
    where retired_at is null;
create index exercise_by_muscle on training.exercise
    using gin ((primary_muscles || secondary_muscles)) where retired_at is null;
create index exercise_by_text on training.exercise
    using gin (search punit.gin_trgm_ops) where retired_at is null;

insert into punit.reference_table (tab, service) values ('training.exercise', 'training');
insert into punit.exporter (service, fn, tabs) values ('training', 'training.export', '{}');

grant select, insert, update on training.exercise to punit_training;
