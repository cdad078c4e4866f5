-- The ends of public keys.

create table punit.unit_key_end (
    origin_unit text not null,
    kid         text not null,
    until       timestamptz not null,
    primary key (origin_unit, kid),
    check (kid ~ '^[a-z0-9-]{1,32}-[1-9][0-9]{0,8}$'
           and regexp_replace(kid, '-[0-9]+$', '') = origin_unit)
);
comment on table punit.unit_key_end is
    'replicated: keys that sign no more, each written by the unit that signed with it. The rows'
    ' stay, so that no unit takes such a key over again';
comment on column punit.unit_key_end.until is 'from then on no token of this key is good';
