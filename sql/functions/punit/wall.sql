-- The wall: which rows of a peer an apply worker writes here. A peer can change its publications
-- and their row filters, so this unit relies on none of them. Each subscription belongs to a role
-- of its own, which has rights on the tables of punit.mesh_plan alone. A trigger judges each row by
-- the role and by what this unit knows itself. A row that breaks a rule is left out, counted in
-- punit.refusal and logged. It is no error, which would stop the subscription.

-- A trigger of this unit may write in an apply worker too: auth.end_family ends the tokens of a
-- session that a peer has ended. Such a row is this unit's own. It is written below a trigger.
-- No regular expression here: it took as long for each row as the rest of the insertion.
create or replace function punit.mesh_peer() returns text
language sql stable parallel restricted
return case when starts_with(session_user::text, 'punit_mesh_') and pg_trigger_depth() <= 1
            then substr(session_user::text, 12) end;
comment on function punit.mesh_peer() is
    'the peer whose rows this session applies; null: a session of this unit''s own, or a trigger''s'
    ' own write in an apply worker. No rule judges these';
grant execute on function punit.mesh_peer() to punit_mesh;

create or replace function punit.refuse_row(p_peer text, p_rule text, p_what text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_setting text := 'punit.refused_' || replace(p_rule, '-', '_');
    v_n       int := coalesce(nullif(current_setting(v_setting, true), ''), '0')::int + 1;
begin
    perform set_config(v_setting, v_n::text, true);
    -- Each count leaves a dead version that the next one in the transaction visits. So a flood is
    -- counted in thousands.
    if v_n > 100 and v_n % 1000 <> 0 then
        return;
    end if;
    perform punit.note_refusal(p_peer, 'mesh', p_rule, p_what);
    if v_n > 100 then
        update punit.refusal r set n = r.n + case v_n when 1000 then 899 else 999 end
         where (r.peer, r.source, r.rule) = (p_peer, 'mesh', p_rule);
    end if;
exception
    -- The apply worker repeats the transaction.
    when transaction_rollback then
        raise;
    when others then
        raise warning 'refused peer=% source=mesh rule=% %, and not counted: %', p_peer, p_rule,
            p_what, sqlerrm;
end
$$;
comment on function punit.refuse_row(text, text, text) is
    'notes that a row of a peer was left out. In one transaction each of the first 100 by a rule'
    ' counts at once, and further ones when 1000 have come';
grant execute on function punit.refuse_row(text, text, text) to punit_mesh;

-- Rule origin, of every table but the acknowledgements: a peer writes rows of its own.
create or replace function punit.wall_origin() returns trigger
language plpgsql
as $$
declare
    v_peer text := punit.mesh_peer();
begin
    if v_peer is null then
        if tg_op = 'DELETE' then
            return old;
        end if;
        return new;
    end if;
    if tg_op = 'INSERT' then
        if new.origin_unit = v_peer then
            return new;
        end if;
        perform punit.refuse_row(v_peer, 'origin', pg_catalog.format('INSERT %s.%s of %s',
            tg_table_schema, tg_table_name, pg_catalog.left(new.origin_unit, 40)));
    elsif tg_op = 'UPDATE' then
        if old.origin_unit = v_peer and new.origin_unit = v_peer then
            return new;
        end if;
        perform punit.refuse_row(v_peer, 'origin', pg_catalog.format('UPDATE %s.%s of %s to %s',
            tg_table_schema, tg_table_name, old.origin_unit,
            pg_catalog.left(new.origin_unit, 40)));
    else
        if old.origin_unit = v_peer then
            return old;
        end if;
        perform punit.refuse_row(v_peer, 'origin', pg_catalog.format('DELETE %s.%s of %s',
            tg_table_schema, tg_table_name, old.origin_unit));
    end if;
    return null;
end
$$;
comment on function punit.wall_origin() is
    'rule origin: a peer inserts, changes and deletes rows of its own alone';

-- Rule outbox-target: messages for other units are no business of this one.
create or replace function punit.wall_outbox() returns trigger
language plpgsql
as $$
declare
    v_peer text := punit.mesh_peer();
begin
    if v_peer is null then
        return new;
    end if;
    if new.target_unit = punit.self() then
        return new;
    end if;
    perform punit.refuse_row(v_peer, 'outbox-target', pg_catalog.format('%s of %s for %s', tg_op,
        new.seq, pg_catalog.left(new.target_unit, 40)));
    return null;
end
$$;
comment on function punit.wall_outbox() is
    'rule outbox-target: the messages of a peer that come here are for this unit';

-- Rule ack: a peer acknowledges what this unit sent to it. Another acknowledgement would delete a
-- message that its target never saw.
create or replace function punit.wall_ack() returns trigger
language plpgsql
as $$
declare
    v_peer text := punit.mesh_peer();
    v_row  punit.outbox_ack;
begin
    if tg_op = 'DELETE' then
        v_row := old;
    else
        v_row := new;
    end if;
    if v_peer is null
       or v_row.target_unit = v_peer and v_row.origin_unit = punit.self()
          and (tg_op <> 'UPDATE' or old.target_unit = v_peer
               and old.origin_unit = new.origin_unit) then
        return v_row;
    end if;
    perform punit.refuse_row(v_peer, 'ack', pg_catalog.format('%s of message %s from %s to %s',
        tg_op, v_row.seq, pg_catalog.left(v_row.origin_unit, 40),
        pg_catalog.left(v_row.target_unit, 40)));
    return null;
end
$$;
comment on function punit.wall_ack() is
    'rule ack: a peer acknowledges messages from this unit to that peer alone';

-- Rule unit: a peer says what it is, and which units it has adopted. An adoption is a claim: it has
-- an effect here only when the operator removes the unit here too. It may come before the last rows
-- of the unit itself, so this unit cannot ask whether the unit has left.
create or replace function punit.wall_unit() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_peer text := punit.mesh_peer();
begin
    if v_peer is null then
        return new;
    end if;
    if new.id = v_peer
       -- An hour: clocks differ. The keys of a unit that left end after retired_at.
       or new.retired_at <= clock_timestamp() + interval '1 hour'
          -- A former unit of this one's id was adopted, or this one has left.
          and not exists (select from punit.me m
                          where m.id = new.id and m.incarnation = new.incarnation
                            and m.left_at is null)
    then
        return new;
    end if;
    perform punit.refuse_row(v_peer, 'unit', format('%s of unit %s', tg_op, left(new.id, 40)));
    return null;
end
$$;
comment on function punit.wall_unit() is
    'rule unit: a peer writes its own row, and rows of other units that say that they were adopted;'
    ' this unit is none of them';

create or replace function punit.has_adopted(p_adopter text, p_unit text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select exists (select from punit.unit u
                   where u.origin_unit = p_adopter and u.id = p_unit and u.id <> p_adopter
                     and u.retired_at is not null)
           and (not (select h.busy from punit.heard(p_unit) h)
                or not exists (select from punit.unit u
                               where u.origin_unit = p_unit and u.id = p_unit
                                 and u.retired_at is null))
$$;
comment on function punit.has_adopted(text, text) is
    'true if a peer says so and nothing here speaks against it: the unit has left, or this unit'
    ' hears from it no more';

-- Rule key: a key of a peer bears its name. The kid eu-west-1 belongs to the unit eu-west, and no
-- row of the unit eu may stand for it. All else about keys is the peer's own affair, but their
-- number and size are bounded, since NGINX reads them.
create or replace function punit.wall_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_peer text := punit.mesh_peer();
    v_own  boolean;
begin
    if v_peer is null then
        return new;
    end if;
    v_own := tg_table_name = 'unit_key_held'
             or regexp_replace(new.kid, '-[0-9]+$', '') is not distinct from v_peer;
    if v_own and new.kid ~ '^[a-z0-9-]{1,32}-[1-9][0-9]{0,8}$'
       and (tg_table_name <> 'unit_key'
            or length(to_jsonb(new) ->> 'pem') <= 1000
               and (tg_op = 'UPDATE'
                    or (select count(*) from punit.unit_key k where k.origin_unit = v_peer
                          and not exists (select from punit.unit_key_end e
                                          where e.origin_unit = v_peer and e.kid = k.kid)) < 100))
    then
        return new;
    end if;
    perform punit.refuse_row(v_peer, 'key', format('%s %s of %s', tg_op, tg_table_name,
        left(new.kid, 50)));
    return null;
end
$$;
comment on function punit.wall_key() is
    'rule key: the keys of a peer and their ends bear its name, at most 100 of them sign, and each'
    ' has at most 1000 characters';

-- Rules home-owned-here, home-erased and home-epoch. A row of punit.home is a hint where to ask:
-- the owner's own row decides. These bounds keep a false hint from staying for ever.
--
-- home-owned-here: this unit is OWNED at epoch e, and the peer claims e or more. The peer can have
-- activated e + 1 only after this unit was FENCED to e + 1, and that commit came before the claim
-- was written. A FENCED unit is OWNED again in two ways: by ACTIVATE of a later epoch, or after the
-- peer has promised never to activate e + 1, at e + 2. Both are above what the peer has claimed. So
-- no honest peer says it, in whatever order rows arrive. (A unit that was restored from a backup
-- may have forgotten a FENCE. Then the refusal is the alarm.) A FENCED unit and a copy accept the
-- claims, because other units may hand the user on meanwhile.
--
-- home-erased: ERASED is final, and its epoch is the last owner's.
--
-- home-epoch: a hand-over raises the epoch by one, a refusal by two, and each takes seconds. A peer
-- whose rows come late, or first, may be some thousands ahead of what the others say. It is never a
-- million ahead. Its own former claims do not count, or it could climb.
--
-- No security definer: a unit that joins copies a row for each user, and the change of rights and
-- settings would cost more than the rest. An apply worker has an empty search_path.
create or replace function punit.wall_home() returns trigger
language plpgsql
as $$
declare
    v_peer  text := punit.mesh_peer();
    v_state text;
    v_epoch bigint;
    v_rule  text;
begin
    if v_peer is null then
        return new;
    end if;
    select o.state, o.epoch into v_state, v_epoch from punit.own o where o.user_id = new.user_id;
    if v_state = 'OWNED' and new.epoch >= v_epoch then
        v_rule := 'home-owned-here';
    elsif v_state = 'ERASED' and new.epoch > v_epoch then
        v_rule := 'home-erased';
    elsif new.epoch between 1 and 1000000 then
        return new;
    elsif new.epoch is null or new.epoch < 1
          or new.epoch - 1000000 > greatest(v_epoch,
                (select pg_catalog.max(h.epoch) from punit.home h
                  where h.user_id = new.user_id and h.origin_unit <> v_peer), 0) then
        v_rule := 'home-epoch';
    else
        return new;
    end if;
    perform punit.refuse_row(v_peer, v_rule, pg_catalog.format('user %s epoch %s, here %s at %s',
        new.user_id, new.epoch, coalesce(v_state, 'unknown'), coalesce(v_epoch::text, '-')));
    return null;
end
$$;
comment on function punit.wall_home() is
    'rules home-owned-here, home-erased and home-epoch: a peer claims no user who is owned or'
    ' erased here, and no epoch that hand-overs cannot reach';

create or replace trigger punit_wall before insert or update or delete on punit.unit
    for each row execute function punit.wall_origin();
alter table punit.unit enable replica trigger punit_wall;
create or replace trigger punit_wall_unit before insert or update on punit.unit
    for each row execute function punit.wall_unit();
alter table punit.unit enable replica trigger punit_wall_unit;

create or replace trigger punit_wall before insert or update or delete on punit.unit_key
    for each row execute function punit.wall_origin();
alter table punit.unit_key enable replica trigger punit_wall;
create or replace trigger punit_wall_key before insert or update on punit.unit_key
    for each row execute function punit.wall_key();
alter table punit.unit_key enable replica trigger punit_wall_key;

create or replace trigger punit_wall before insert or update or delete on punit.unit_key_held
    for each row execute function punit.wall_origin();
alter table punit.unit_key_held enable replica trigger punit_wall;
create or replace trigger punit_wall_key before insert or update on punit.unit_key_held
    for each row execute function punit.wall_key();
alter table punit.unit_key_held enable replica trigger punit_wall_key;

create or replace trigger punit_wall before insert or update or delete on punit.unit_key_end
    for each row execute function punit.wall_origin();
alter table punit.unit_key_end enable replica trigger punit_wall;
create or replace trigger punit_wall_key before insert or update on punit.unit_key_end
    for each row execute function punit.wall_key();
alter table punit.unit_key_end enable replica trigger punit_wall_key;

create or replace trigger punit_wall before insert or update or delete on punit.home
    for each row execute function punit.wall_origin();
alter table punit.home enable replica trigger punit_wall;
create or replace trigger punit_wall_home before insert or update on punit.home
    for each row execute function punit.wall_home();
alter table punit.home enable replica trigger punit_wall_home;

create or replace trigger punit_wall before insert or update or delete on punit.outbox
    for each row execute function punit.wall_origin();
alter table punit.outbox enable replica trigger punit_wall;
create or replace trigger punit_wall_outbox before insert or update on punit.outbox
    for each row execute function punit.wall_outbox();
alter table punit.outbox enable replica trigger punit_wall_outbox;

create or replace trigger punit_wall before insert or update or delete on punit.outbox_ack
    for each row execute function punit.wall_ack();
alter table punit.outbox_ack enable replica trigger punit_wall;

create or replace function punit.admit_mesh(p_tab regclass) returns void
language plpgsql volatile
as $$
begin
    if not exists (select from pg_catalog.pg_trigger t
                   where t.tgrelid = p_tab and t.tgname = 'punit_wall' and t.tgenabled = 'R') then
        raise exception 'the rows that the mesh brings to % are not judged', p_tab
            using errcode = 'PU500', hint = 'it needs the trigger punit_wall, ENABLE REPLICA';
    end if;
    execute pg_catalog.format('grant usage on schema %I to punit_mesh',
        (select c.relnamespace::regnamespace::text from pg_catalog.pg_class c
          where c.oid = p_tab));
    execute pg_catalog.format('grant select, insert, update, delete on %s to punit_mesh', p_tab);
end
$$;
comment on function punit.admit_mesh(regclass) is
    'lets the apply workers write a table that has the trigger punit_wall';

create or replace function punit.own_subscription(p_peer text) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_role text := 'punit_mesh_' || p_peer;
    v_name text := 'punit_from_' || p_peer;
begin
    if not exists (select from pg_roles where rolname = v_role) then
        -- An apply worker may log in only as a role with LOGIN. It does not count as a connection,
        -- so the limit shuts out all others.
        execute format('create role %I login connection limit 0 in role punit_mesh', v_role);
        execute format('comment on role %I is %L', v_role,
                       'applies the rows of unit ' || p_peer || '; it has no sessions');
    end if;
    if not exists (select from pg_subscription s where s.subname = v_name) then
        return false;
    end if;
    -- The certificate takes the place of a password. The rows are applied as the subscription's
    -- owner, and not as the owner of the tables, who is superuser.
    if current_setting('server_version_num')::int >= 160000 then
        execute format('alter subscription %I set (password_required = false, run_as_owner = true)',
                       v_name);
    end if;
    if exists (select from pg_subscription s join pg_roles r on r.oid = s.subowner
               where s.subname = v_name and r.rolname = v_role) then
        return false;
    end if;
    -- PostgreSQL 15 gives a subscription to a superuser only. Nobody sees this state: it is gone
    -- when the transaction commits.
    execute format('alter role %I superuser', v_role);
    execute format('alter subscription %I owner to %I', v_name, v_role);
    execute format('alter role %I nosuperuser', v_role);
    return true;
end
$$;
comment on function punit.own_subscription(text) is
    'makes the role that applies the rows of a peer, and gives it the subscription to that peer if'
    ' there is one; true if the subscription belonged to another role';
