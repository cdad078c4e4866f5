-- Ended tokens. A row here revokes tokens; a missing row never refuses one. Rows are only inserted,
-- replicated to every unit, and announced to the grid.

create table auth.ended (
    origin_unit text not null default punit.self(),
    id          uuid not null default gen_random_uuid(),
    kind        text not null check (kind in ('jti', 'session', 'user')),
    subject     uuid not null,
    gen         bigint,
    exp         timestamptz not null,
    primary key (origin_unit, id),
    check ((kind = 'user') = (gen is not null))
);
comment on table auth.ended is 'replicated: tokens that ended before they expired';
comment on column auth.ended.kind is
    'jti: one token. session: all tokens with this sid. user: all tokens of the user with a lower'
    ' gen';
comment on column auth.ended.subject is 'the jti, the sid or the user';
comment on column auth.ended.exp is
    'all tokens that the row revokes have expired by then, and its origin deletes the row';
create index ended_subject on auth.ended (subject, kind);
create index ended_exp on auth.ended (exp);

grant select on auth.ended to punit_auth, punit_gridd;
