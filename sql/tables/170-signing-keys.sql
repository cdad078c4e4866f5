-- The public keys of all units.

create table punit.unit_key (
    origin_unit text not null,
    kid         text not null check (kid ~ '^[a-z0-9-]{1,32}-[1-9][0-9]{0,8}$'),
    alg         text not null default 'ES256' check (alg = 'ES256'),
    pem         text not null,
    created_at  timestamptz not null default now(),
    primary key (origin_unit, kid),
    check (kid like origin_unit || '-%')
);
comment on table punit.unit_key is
    'replicated: public keys that verify tokens, each written by the unit that signs with it';

create table punit.unit_key_held (
    origin_unit text not null,
    kid         text not null,
    held_at     timestamptz not null default now(),
    primary key (origin_unit, kid)
);
comment on table punit.unit_key_held is
    'replicated: origin_unit has this key where its NGINX reads it; a key that all units hold may'
    ' sign';
