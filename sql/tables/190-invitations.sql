-- The units that were invited here.

create table punit.invitation (
    id           text primary key check (id ~ '^[a-z0-9-]{1,32}$'),
    number       uuid not null,
    introduction text not null,
    invited_at   timestamptz not null default now(),
    expires_at   timestamptz not null
);
comment on table punit.invitation is
    'local: units that punitctl unit invite has invited here; peers read it';
comment on column punit.invitation.number is
    'names the last invite of the unit; an earlier one counts no more';
comment on column punit.invitation.introduction is
    'id and addresses of the unit, signed by the authority of all units. A peer believes it by'
    ' that signature, whoever shows it';
comment on column punit.invitation.expires_at is 'the invite is not accepted afterwards';

grant select on punit.invitation to punit_peer;
