-- Answers to requests with an Idempotency-Key. They belong to the user and move with the user.

create table punit.dedup (
    user_id     uuid not null,
    request_id  text not null check (length(request_id) between 1 and 255),
    route       text not null,
    body_sha256 bytea not null check (length(body_sha256) = 32),
    ver         bigint not null,
    status      int not null,
    body        text,
    created_at  timestamptz not null default now(),
    primary key (user_id, request_id, route)
);
comment on table punit.dedup is
    'answers to requests with an Idempotency-Key, written in the transaction of the effect and'
    ' valid for 24 h';
create index dedup_created on punit.dedup (created_at);

grant select on punit.dedup to punit_mover, punit_peer;
grant insert, delete on punit.dedup to punit_mover;
