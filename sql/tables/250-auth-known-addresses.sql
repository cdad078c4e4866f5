-- From where users have logged in: a stranger elsewhere uses up no attempt of such an address.

create table auth.known_address (
    who     text not null,
    address text not null,
    seen_at timestamptz not null default now(),
    primary key (who, address)
);
comment on table auth.known_address is
    'local: addresses from which the right password came, the 10 newest of a name and none for'
    ' longer than 90 days. A move leaves them behind, and the next login notes its address again';
comment on column auth.known_address.who is '"name \x<keyed hash>", as in auth.attempt';
comment on column auth.known_address.address is 'IPv4, or an IPv6 /64';
create index known_address_seen_at on auth.known_address (seen_at);

comment on column auth.attempt.who is
    'kind and key. "name \x<keyed hash>": from all addresses that are not known. "from <address>'
    ' name \x<keyed hash>": from this one. "address <IPv4 or IPv6 /64>": with all names. "user'
    ' <uuid>" is from release 0.2.0';

grant select, insert, update, delete on auth.known_address to punit_auth;
