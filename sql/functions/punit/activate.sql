-- At the new owner T: applying the rows of a PULL, and ACTIVATE, whose commit is the commit point
-- of the hand-over. The mover calls punit.apply_open, inserts the rows (punit.move_plan), calls
-- punit.copy_close or punit.activate, and commits. On any answer but OK it rolls back. punit.take
-- does all of it with the rows of FENCE's answer. The session has session_replication_role =
-- replica: the old owner has checked the rows.

create or replace function punit.apply_open(p_user uuid, p_unit text, p_from uuid, p_to uuid,
                                            p_full boolean, p_base bigint, p_ver bigint,
                                            p_fork uuid, p_epoch bigint default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o punit.own;
begin
    if p_to is distinct from (select m.incarnation from punit.me m where m.left_at is null)
       or p_from is distinct from punit.incarnation_of(p_unit) then
        return 'VOID';
    elsif p_ver not between 0 and punit.ver_most() then
        return 'BOUND ver ' || p_ver;
    end if;
    insert into punit.own (user_id, state) values (p_user, 'COPY') on conflict (user_id) do nothing;
    select * into o from punit.own x where x.user_id = p_user for no key update;
    if o.state <> 'COPY' then
        return o.state;
    end if;
    if p_epoch is not null and (p_epoch <= o.epoch or p_epoch <= o.refused_epoch) then
        return 'REFUSED';
    end if;
    if not p_full and o.fork is distinct from p_fork then
        return 'FORK';
    end if;
    if p_epoch is null then
        if not p_full and (o.ver < p_base or o.ver >= p_ver) then
            return 'VERSION';
        end if;
    elsif o.fork = p_fork and (o.ver < p_base or o.ver > p_ver) then
        return 'VERSION';
    end if;
    -- without a fork there is no copy to replace
    if p_full and o.fork is not null then
        perform punit.user_clear(p_user);
    end if;
    return 'OK';
end
$$;
comment on function punit.apply_open(uuid, text, uuid, uuid, boolean, bigint, bigint, uuid, bigint)
is
    'guard of the answer to a PULL (p_epoch null) or of ACTIVATE (p_epoch: the new epoch); locks'
    ' the user''s row for the transaction. OK, or why nothing may be applied: OWNED, FENCED,'
    ' ERASED, REFUSED, FORK, VERSION, VOID';
grant execute on function punit.apply_open(uuid, text, uuid, uuid, boolean, bigint, bigint, uuid,
                                           bigint) to punit_mover;

create or replace function punit.check_needs(p_needs jsonb) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce('REFERENCE ' || punit.missing(p_needs), 'OK');
end
$$;
comment on function punit.check_needs(jsonb) is
    'looks for the reference rows that punit.user_manifest names: OK or REFERENCE ...';
grant execute on function punit.check_needs(jsonb) to punit_mover;

create or replace function punit.digests_differ(p_n bigint, p_digest numeric, p_there_n bigint,
                                                p_there_digest numeric) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$ select format('DIGEST %s rows with sum %s here, %s rows with sum %s there', p_n, p_digest,
                    p_there_n, p_there_digest) $$;
comment on function punit.digests_differ(bigint, numeric, bigint, numeric) is
    'the text of an answer DIGEST';

create or replace function punit.ver_most() returns bigint
language sql immutable return 1::bigint << 62;
comment on function punit.ver_most() is
    'the highest ver that is taken from a peer: no user can have written so often, and it leaves'
    ' room above';

create or replace function punit.others_came(p_others bigint, p_n bigint, p_digest numeric,
                                             p_there_n bigint, p_there_digest numeric) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$ select format('FOREIGN %s rows are of another user or ver: %s', p_others,
                    punit.digests_differ(p_n, p_digest, p_there_n, p_there_digest)) $$;
comment on function punit.others_came(bigint, bigint, numeric, bigint, numeric) is
    'the text of an answer FOREIGN';

create or replace function punit.copy_others(p_user uuid, p_others bigint, p_n bigint,
                                             p_digest numeric) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select punit.others_came(p_others, d.n, d.digest, p_n, p_digest)
        from punit.user_digest(p_user, -1) d $$;
comment on function punit.copy_others(uuid, bigint, bigint, numeric) is
    'after COPYs that brought p_others rows that are not of the user: why nothing is applied';
grant execute on function punit.copy_others(uuid, bigint, bigint, numeric) to punit_mover;

create or replace function punit.note_rows(p_unit text, p_user uuid, p_why text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule text := case split_part(p_why, ' ', 1) when 'FOREIGN' then 'foreign-row'
                   when 'DIGEST' then 'digest' when 'BOUND' then 'bound' end;
begin
    if v_rule is not null then
        perform punit.note_refusal(p_unit, 'move', v_rule, format('user=%s %s', p_user, p_why));
    end if;
end
$$;
comment on function punit.note_rows(text, uuid, text) is
    'counts that the rows of a hand-over were refused, if it was for what the old owner sent';
grant execute on function punit.note_rows(text, uuid, text) to punit_mover;

create or replace function punit.check_copy(p_user uuid, p_n bigint, p_digest numeric,
                                            p_needs jsonb) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    d record;
begin
    select * into d from punit.user_digest(p_user, -1);
    if d.n <> p_n or d.digest <> p_digest then
        return punit.digests_differ(d.n, d.digest, p_n, p_digest);
    end if;
    return punit.check_needs(p_needs);
end
$$;
comment on function punit.check_copy(uuid, bigint, numeric, jsonb) is
    'compares all rows with the sender''s punit.user_manifest and looks for the reference rows'
    ' that it names: OK, DIGEST ... or REFERENCE ...';

create or replace function punit.copy_close(p_user uuid, p_unit text, p_ver bigint, p_fork uuid,
                                            p_gc_ver bigint, p_n bigint, p_digest numeric,
                                            p_needs jsonb) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r text := punit.check_copy(p_user, p_n, p_digest, p_needs);
begin
    if r <> 'OK' then
        return r;
    end if;
    update punit.own o set ver = p_ver, fork = p_fork, gc_ver = greatest(o.gc_ver, p_gc_ver),
        copied_from = p_unit,
        owner_hint = p_unit, touched_at = clock_timestamp()
    where o.user_id = p_user and o.state = 'COPY';
    return case when found then 'OK' else 'STATE' end;
end
$$;
comment on function punit.copy_close(uuid, text, bigint, uuid, bigint, bigint, numeric, jsonb) is
    'after the rows of a PULL: compares the whole copy and notes its ver; OK, or why not';
grant execute on function punit.copy_close(uuid, text, bigint, uuid, bigint, bigint, numeric,
                                           jsonb) to punit_mover;

create or replace function punit.own_from(p_user uuid, p_unit text, p_ver bigint, p_fork uuid,
                                          p_gc_ver bigint, p_epoch bigint,
                                          p_dwell_s double precision) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update punit.own o set state = 'OWNED', epoch = p_epoch, ver = p_ver, fork = p_fork,
        bump_xid = null,
        gc_ver = greatest(o.gc_ver, p_gc_ver), copied_from = p_unit, owner_hint = null,
            touched_at = clock_timestamp()
    where o.user_id = p_user and o.state = 'COPY' and o.epoch < p_epoch
        and o.refused_epoch < p_epoch;
    if not found then
        return 'STATE';
    end if;
    perform punit.set_home(p_user, p_epoch);
    insert into punit.stay (user_id, dwell_s) values (p_user, p_dwell_s)
    on conflict (user_id) do update set since = clock_timestamp(), dwell_s = excluded.dwell_s;
    return 'OK';
end
$$;
comment on function punit.own_from(uuid, text, bigint, uuid, bigint, bigint, double precision) is
    'after the rows are inserted and compared: this unit owns the user at p_epoch and p_ver.'
    ' p_dwell_s: how long the user should stay. OK, or why not';

create or replace function punit.activate(p_user uuid, p_unit text, p_ver bigint, p_fork uuid,
                                          p_gc_ver bigint, p_n bigint, p_digest numeric,
                                          p_needs jsonb, p_epoch bigint,
                                          p_dwell_s double precision) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r text := punit.check_copy(p_user, p_n, p_digest, p_needs);
begin
    return case when r = 'OK' then punit.own_from(p_user, p_unit, p_ver, p_fork, p_gc_ver, p_epoch,
                                                  p_dwell_s) else r end;
end
$$;
comment on function punit.activate(uuid, text, bigint, uuid, bigint, bigint, numeric, jsonb,
                                   bigint, double precision) is
    'ACTIVATE, after apply_open and all rows (as COPYs) in the same transaction: compares them,'
    ' then punit.own_from. OK, or why not';
grant execute on function punit.activate(uuid, text, bigint, uuid, bigint, bigint, numeric, jsonb,
                                         bigint, double precision) to punit_mover;

create or replace function punit.take(p_user uuid, p_unit text, p_from uuid, p_to uuid,
                                      p_base bigint, p_ver bigint, p_fork uuid, p_gc_ver bigint,
                                      p_n bigint, p_digest numeric, p_epoch bigint,
                                      p_dwell_s double precision, p_rows bigint, p_bytes bigint,
                                      p_tombs bigint, p_fenced_at double precision, p_delta jsonb)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r text := punit.apply_open(p_user, p_unit, p_from, p_to, p_base < 0, p_base, p_ver, p_fork,
                               p_epoch);
    d record;
    v_others bigint := 0;
begin
    if r = 'OK' then
        if p_delta <> '{}' then
            v_others := punit.user_take(p_user, p_delta, p_base, p_ver);
        end if;
        -- The copy was compared when it was made, and (fork, ver) names its rows. So only the new
        -- rows are compared, unless all of them are new.
        if p_base < 0 then
            select x.n, x.digest, punit.missing(x.needs) as missing into d
                from punit.user_manifest(p_user, -1) x;
        else
            select * into d from punit.user_taken(p_user, p_base, p_delta);
        end if;
        r := case when v_others > 0 then punit.others_came(v_others, d.n, d.digest, p_n, p_digest)
                  when d.n <> p_n or d.digest <> p_digest then punit.digests_differ(d.n, d.digest,
            p_n, p_digest)
                  when d.missing is not null then 'REFERENCE ' || d.missing else 'OK' end;
    end if;
    if r = 'OK' then
        r := punit.own_from(p_user, p_unit, p_ver, p_fork, p_gc_ver, p_epoch, p_dwell_s);
    end if;
    if r = 'OK' then
        perform punit.move_applied(p_user, p_unit, case when p_base < 0 then 'full'
                                   else 'delta' end, p_epoch - 1, p_base, p_ver,
                                   p_rows, p_bytes, p_tombs, p_fenced_at,
                                   case when p_base < 0 then p_n end,
                                       case when p_base < 0 then p_digest end);
    else
        raise exception '%', r using errcode = 'PU409';
    end if;
    return r;
end
$$;
comment on function punit.take(uuid, text, uuid, uuid, bigint, bigint, uuid, bigint, bigint,
                               numeric, bigint, double precision, bigint, bigint, bigint,
                               double precision, jsonb) is
    'all of ACTIVATE with the rows of FENCE''s answer (p_base -1: all rows): apply_open,'
    ' user_take, own_from, move_applied. It is a transaction of its own: OK, or PU409 with the'
    ' reason, and nothing has changed';
grant execute on function punit.take(uuid, text, uuid, uuid, bigint, bigint, uuid, bigint, bigint,
                                     numeric, bigint, double precision, bigint, bigint, bigint,
                                     double precision, jsonb) to punit_mover;
