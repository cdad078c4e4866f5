-- Credentials and sessions: rows of the user, which move with the user.

create table auth.credential (
    user_id    uuid primary key,
    ver        bigint not null,
    name_hash  bytea not null check (length(name_hash) = 32),
    password   text not null check (password ~ '^\$argon2id\$'),
    roles      text[] not null default '{user}' check (roles <@ '{user,coach,editor}'),
    gen        bigint not null default 1 check (gen > 0),
    changed_at timestamptz not null default now()
);
comment on table auth.credential is 'the password and the roles of a user';
comment on column auth.credential.name_hash is 'the user''s row of auth.name';
comment on column auth.credential.gen is
    'each token carries it; a row of auth.ended of kind user ends the tokens with a lower one';

create table auth.session (
    user_id    uuid not null,
    id         uuid not null,
    ver        bigint not null,
    created_at timestamptz not null default now(),
    seen_at    timestamptz not null default now(),
    expires_at timestamptz not null,
    client     text,
    jti        uuid[] not null,
    jti_exp    timestamptz[] not null,
    primary key (user_id, id),
    check (cardinality(jti) = cardinality(jti_exp))
);
comment on table auth.session is 'the logins of a user; a session without a row has ended';
comment on column auth.session.seen_at is 'last login or refresh';
comment on column auth.session.client is 'address of the client at that time';
comment on column auth.session.jti is
    'its tokens that have not expired; each ends with the session, since the grid knows tokens by'
    ' jti';
create index session_id on auth.session (id);

create table auth.refresh (
    user_id    uuid not null,
    family     bytea not null check (length(family) = 32),
    session_id uuid not null,
    ver        bigint not null,
    current    bytea[] not null check (cardinality(current) between 1 and 8),
    previous   bytea[] not null default '{}',
    rotated_at timestamptz not null default now(),
    primary key (user_id, family),
    unique (user_id, session_id),
    foreign key (user_id, session_id) references auth.session deferrable initially deferred
);
comment on table auth.refresh is
    'the refresh token of a session, as SHA-256 sums of its family part and of whole tokens. The'
    ' family part stays the same for the whole session, so a token of the family that is not'
    ' current is an old one';
comment on column auth.refresh.current is
    'tokens that are good; several only if a client repeated within 10 s after a lost answer';
comment on column auth.refresh.previous is
    'what was current before rotated_at: may be repeated for 10 s';

insert into punit.user_table (tab) values ('auth.credential'), ('auth.session'), ('auth.refresh');
insert into punit.exporter (service, fn, tabs)
values ('auth', 'auth.export', '{auth.credential,auth.session,auth.refresh}');
insert into punit.message_handler (kind, fn, outlives)
values ('auth-forget', 'auth.hear_forget', true);
insert into punit.forgetter (fn, before)
values ('auth.end_sessions', true), ('auth.forget', false);

grant select, insert, update, delete on auth.credential, auth.session, auth.refresh to punit_auth;
