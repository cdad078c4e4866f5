-- What has ended: the presence of a row here revokes tokens, its absence never
-- refuses one. Insert only, replicated to every unit, announced to the grid.

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
comment on table auth.ended is 'replicated: tokens that are no longer good although they have not expired';
comment on column auth.ended.kind is
    'jti: one token; session: all with this sid; user: all of his with a gen below this one';
comment on column auth.ended.subject is 'the jti, the sid or the user';
comment on column auth.ended.exp is 'from then on nothing it refers to is valid anyway, and its origin deletes it';
create index ended_subject on auth.ended (subject, kind);
create index ended_exp on auth.ended (exp);

-- ENABLE ALWAYS: rows that the mesh brings are announced too. It must not raise, or
-- the subscription stops and later revocations never arrive.
create function auth.announce_end() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('punit_ended', concat_ws(' ', new.kind, new.subject,
        ceil(extract(epoch from new.exp))::bigint, new.gen));
    return null;
exception when others then
    raise warning 'auth.ended % not announced: %', new.id, sqlerrm;
    return null;
end
$$;
comment on function auth.announce_end() is
    'NOTIFY punit_ended: "<kind> <subject> <exp, seconds since 1970>", for kind user then " <gen>"';

create trigger announce after insert on auth.ended
    for each row execute function auth.announce_end();
alter table auth.ended enable always trigger announce;

create function auth.record_end(p_kind text, p_subject uuid, p_gen bigint, p_exp timestamptz)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.stay_or_refuse();
    insert into auth.ended (origin_unit, kind, subject, gen, exp)
    values (punit.self(), p_kind, p_subject, p_gen, p_exp);
    -- the table stays as small as what ended lately: each insert buries some of the old
    delete from auth.ended e
     where (e.origin_unit, e.id) in (
            select d.origin_unit, d.id from auth.ended d
             where d.origin_unit = punit.self() and d.exp < now() - interval '1 minute'
             order by d.exp limit 20 for update skip locked);
end
$$;
comment on function auth.record_end(text, uuid, bigint, timestamptz) is
    'inserts a row of this unit''s own into auth.ended; expired ones of this unit go';

create function auth.is_active(p_jti uuid, p_session uuid, p_user uuid, p_gen bigint) returns boolean
language sql stable
return not exists (select from auth.ended e where e.subject = p_jti and e.kind = 'jti')
   and not exists (select from auth.ended e where e.subject = p_session and e.kind = 'session')
   and not exists (select from auth.ended e where e.subject = p_user and e.kind = 'user' and e.gen > p_gen)
   and not exists (select from punit.own o where o.user_id = p_user and o.state = 'ERASED');
comment on function auth.is_active(uuid, uuid, uuid, bigint) is
    'nothing known speaks against this token; any argument may be null';

revoke all on auth.ended from public;
grant select on auth.ended to punit_auth, punit_gridd;
grant execute on function auth.record_end(text, uuid, bigint, timestamptz),
    auth.is_active(uuid, uuid, uuid, bigint) to punit_auth;
