-- Ended tokens.

-- ENABLE ALWAYS: it announces rows that the mesh brings, too. It must not raise an error, or the
-- subscription would stop and later revocations would not arrive.
create or replace function auth.announce_end() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
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
    'NOTIFY punit_ended: "<kind> <subject> <exp, seconds since 1970>", for kind user then " <gen>".'
    ' Who listens reads the row';

create or replace trigger announce after insert on auth.ended
    for each row execute function auth.announce_end();
alter table auth.ended enable always trigger announce;

-- A logout that another unit took arrives by the mesh as the end of a session. The user's owner
-- knows the session's tokens and names them to the grids of all units. ENABLE ALWAYS, and it must
-- not raise an error.
create or replace function auth.end_family() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform auth.record_end('jti', t.jti, null, t.exp)
       from auth.session s
       join punit.own o on o.user_id = s.user_id and o.state = 'OWNED'
       cross join unnest(s.jti, s.jti_exp) as t (jti, exp)
      where s.id = new.subject and t.exp > now() - auth.leeway()
        and not exists (select from auth.ended e where e.subject = t.jti and e.kind = 'jti');
    return null;
exception when others then
    raise warning 'tokens of session % not ended: %', new.subject, sqlerrm;
    return null;
end
$$;
comment on function auth.end_family() is 'ends each token of a session that another unit has ended';

create or replace trigger end_family after insert on auth.ended
    for each row when (new.kind = 'session') execute function auth.end_family();
alter table auth.ended enable always trigger end_family;

create or replace function auth.record_end(p_kind text, p_subject uuid, p_gen bigint,
                                           p_exp timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.stay_or_refuse();
    insert into auth.ended (origin_unit, kind, subject, gen, exp)
    values (punit.self(), p_kind, p_subject, p_gen, p_exp);
    -- Each insert deletes some expired rows, so the table stays small.
    delete from auth.ended e
     where (e.origin_unit, e.id) in (
            select d.origin_unit, d.id from auth.ended d
             where d.origin_unit = punit.self() and d.exp < now() - auth.leeway()
             order by d.exp limit 20 for update skip locked);
end
$$;
comment on function auth.record_end(text, uuid, bigint, timestamptz) is
    'inserts a row of this unit into auth.ended and deletes expired rows of this unit';
grant execute on function auth.record_end(text, uuid, bigint, timestamptz) to punit_auth;

create or replace function auth.is_active(p_jti uuid, p_session uuid, p_user uuid, p_gen bigint)
returns boolean
language sql stable
return not exists (select from auth.ended e where e.subject = p_jti and e.kind = 'jti')
   and not exists (select from auth.ended e where e.subject = p_session and e.kind = 'session')
   and not exists (select from auth.ended e where e.subject = p_user and e.kind = 'user'
                   and e.gen > p_gen)
   and not exists (select from punit.own o where o.user_id = p_user and o.state = 'ERASED');
comment on function auth.is_active(uuid, uuid, uuid, bigint) is
    'true if no row known here revokes this token; any argument may be null';
grant execute on function auth.is_active(uuid, uuid, uuid, bigint) to punit_auth;

-- What a peer may end. A unit takes the logout of any user whose token it sees, so the end of one
-- token or session is believed of every peer. Its id is random, and only a unit that has had the
-- token knows it. The end of all tokens of a user (kind user) is the owner's:
--
-- ended-exp: no token outlives its life, so the row need not either. An hour: clocks differ.
--
-- ended-owned-here: the user is OWNED here, so gen is here. It rises only at the owner. A former
-- owner cannot have ended a higher one.
--
-- ended-not-owner: the peer has never claimed the user in punit.home, and it has adopted no unit
-- that may have. While rows of the peer are copied, its claims may come later than this row.
--
-- ended-gen: gen rises by one for each change of the user's roles.
create or replace function auth.wall_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_peer  text := punit.mesh_peer();
    v_state text;
    v_gen   bigint;
    v_rule  text;
begin
    if v_peer is null then
        return new;
    end if;
    if new.exp <= clock_timestamp() + interval '1 hour'
       + (case new.kind when 'session' then auth.refresh_life() else auth.access_life() end) then
        if new.kind <> 'user' then
            return new;
        end if;
        select o.state into v_state from punit.own o where o.user_id = new.subject;
        select c.gen into v_gen from auth.credential c where c.user_id = new.subject;
        if v_state = 'OWNED' and new.gen > v_gen then
            v_rule := 'ended-owned-here';
        elsif new.gen > coalesce(v_gen, 0) + 1000000 then
            v_rule := 'ended-gen';
        elsif v_state is distinct from 'OWNED'
              and not exists (select from punit.home h
                              where h.origin_unit = v_peer and h.user_id = new.subject)
              and not exists (select from punit.unit u
                              where u.origin_unit = v_peer and u.id <> v_peer)
              and not exists (select from pg_subscription s
                                join pg_subscription_rel r on r.srsubid = s.oid
                               where s.subname = 'punit_from_' || v_peer
                                 and r.srrelid = 'punit.home'::regclass and r.srsubstate <> 'r')
        then
            v_rule := 'ended-not-owner';
        else
            return new;
        end if;
    else
        v_rule := 'ended-exp';
    end if;
    perform punit.refuse_row(v_peer, v_rule, format('%s %s %s gen %s until %s', tg_op,
        left(new.kind, 10), new.subject, coalesce(new.gen::text, '-'), new.exp));
    return null;
end
$$;
comment on function auth.wall_ended() is
    'rules ended-exp, ended-owned-here, ended-not-owner and ended-gen: what a peer may end, and for'
    ' how long';

create or replace trigger punit_wall before insert or update or delete on auth.ended
    for each row execute function punit.wall_origin();
alter table auth.ended enable replica trigger punit_wall;
create or replace trigger punit_wall_ended before insert or update on auth.ended
    for each row execute function auth.wall_ended();
alter table auth.ended enable replica trigger punit_wall_ended;
