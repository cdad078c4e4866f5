-- The directory: which unit owns a user.

create table punit.home (
    origin_unit text not null,
    user_id     uuid not null,
    epoch       bigint not null,
    primary key (origin_unit, user_id)
);
comment on table punit.home is
    'replicated: origin_unit owned the user from this epoch on; the highest epoch is the owner''s';
create index home_user on punit.home (user_id, epoch);

grant select on punit.home to punit_service, punit_mover;
