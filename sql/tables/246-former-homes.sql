-- What this unit must remember of its peers to judge what they say.

create table punit.former_home (
    origin_unit text not null,
    user_id     uuid not null,
    epoch       bigint not null,
    ended_at    timestamptz not null default now(),
    primary key (origin_unit, user_id)
);
comment on table punit.former_home is
    'local: rows of punit.home that their unit took back. It does so when it erases the user, and'
    ' its message erase is judged by this row. With epoch 0: the user was to go to the unit, which'
    ' refused. Kept until the user is erased here';

alter table punit.move add column asked_by text;
comment on column punit.move.asked_by is
    'the peer that passed the request on to this unit; null: nobody did';
