-- How often a client may try a password or register: token buckets by name and by client address.

create unlogged table auth.attempt (
    who text primary key,
    tat timestamptz not null
);
comment on table auth.attempt is
    'token buckets, each stored as the time when it is full again (the theoretical arrival time of'
    ' GCRA, ITU-T I.371); a time in the past equals no row. Unlogged: a crash of PostgreSQL fills'
    ' all buckets, and an attempt costs no flush';
comment on column auth.attempt.who is
    'kind and key: "name \x<keyed hash>", "user <uuid>", "address <IPv4 or IPv6 /64>"';
create index attempt_tat on auth.attempt (tat);

grant select, insert, update, delete on auth.attempt to punit_auth;
