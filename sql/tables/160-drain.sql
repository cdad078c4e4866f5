-- Draining a unit: the unit asks its peers to take its users, a window of users at a time. Until
-- the drain ends, no user comes here without an operator's request.

create table punit.drain (
    single    boolean primary key default true check (single),
    to_unit   text,
    paced     boolean not null,
    began_at  timestamptz not null default clock_timestamp(),
    owned     bigint not null,
    remaining bigint not null,
    next_user uuid default '00000000-0000-0000-0000-000000000000',
    passed_at timestamptz
);
comment on table punit.drain is 'one row while this unit is drained';
comment on column punit.drain.to_unit is 'null: spread over all peers';
comment on column punit.drain.paced is 'the units that take its users rest after each move';
comment on column punit.drain.owned is 'users owned here when the drain began';
comment on column punit.drain.remaining is
    'users owned here: counted at the end of each pass; in between, those who left are subtracted';
comment on column punit.drain.next_user is
    'the pass over all users continues after this user; null: the pass is over';
comment on column punit.drain.passed_at is 'end of the last pass';

create table punit.drain_user (
    user_id  uuid primary key,
    to_unit  text not null,
    asked_at timestamptz not null default clock_timestamp(),
    asks     int not null default 1
);
comment on table punit.drain_user is
    'users of this drain whom a peer was asked to take and who are still owned here';

grant select on punit.drain, punit.drain_user to punit_mover;
