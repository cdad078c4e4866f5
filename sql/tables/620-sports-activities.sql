-- Sports: the activities of each user.

create table sports.activity (
    user_id      uuid not null,
    id           uuid not null default gen_random_uuid(),
    sport_id     uuid not null,
    started_at   timestamptz(3) not null
                 check (started_at >= '1900-01-01Z' and started_at < '2200-01-01Z'),
    duration_s   integer check (duration_s >= 0),
    distance_m   double precision check (distance_m >= 0),
    energy_kcal  double precision check (energy_kcal >= 0),
    note         text check (length(note) <= 5000),
    programme_id uuid,
    created_at   timestamptz(3) not null default now(),
    updated_at   timestamptz(3) not null default now(),
    ver          bigint not null,
    primary key (user_id, id)
);
comment on table sports.activity is
    'one activity of a user: the sport, when it was, how long and how far';
comment on column sports.activity.duration_s is 'seconds; null while the activity goes on';
create index activity_by_time on sports.activity (user_id, started_at desc, id desc);

insert into punit.user_table (tab) values ('sports.activity');
insert into punit.user_reference (tab, col, ref_tab, ref_col)
values ('sports.activity', 'sport_id', 'sports.sport', 'id'),
       ('sports.activity', 'programme_id', 'training.programme', 'id');
insert into punit.exporter (service, fn, tabs)
values ('sports', 'sports.export', '{sports.activity}');

grant select, insert, update, delete on sports.activity to punit_sports;
