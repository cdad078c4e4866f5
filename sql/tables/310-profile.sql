-- The profile of a user. The registration makes one row for each user.

create schema profile;
comment on schema profile is 'service profile: what users say of themselves';
grant usage on schema profile to punit_profile, punit_auth, punit_metrics;

create table profile.profile (
    user_id    uuid primary key,
    ver        bigint not null,
    name       text not null check (length(name) between 1 and 100),
    birth_date date check (birth_date >= '1900-01-01'),
    height_m   numeric check (height_m between 0.3 and 3),
    weight_kg  numeric check (weight_kg between 1 and 700),
    locale     text check (length(locale) <= 35),
    time_zone  text check (length(time_zone) <= 64),
    sports     uuid[] not null default '{}' check (cardinality(sports) <= 100)
);
comment on table profile.profile is 'the user''s own description';
comment on column profile.profile.locale is 'language tag, BCP 47';
comment on column profile.profile.time_zone is 'IANA name; null: UTC';
comment on column profile.profile.sports is 'ids of the user''s sports, from the service sports';

insert into punit.user_table (tab) values ('profile.profile');
insert into punit.exporter (service, fn, tabs)
values ('profile', 'profile.export', '{profile.profile}');

grant select, insert, update on profile.profile to punit_profile;
