-- The sender of a message, and whether it may speak of a user. The rules are in doc/SECURITY.md.

create or replace function punit.registered(p_fn text, p_arguments text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_fn regprocedure := to_regprocedure(p_fn || p_arguments);
begin
    if v_fn is null then
        raise exception 'there is no function %', p_fn || p_arguments using errcode = 'PU500';
    end if;
    return v_fn::oid::regproc::text;
end
$$;
comment on function punit.registered(text, text) is
    'the quoted name of a function that exists and is registered by name. Nothing else of a row is'
    ' ever executed';

create or replace function punit.sender() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$ select nullif(current_setting('punit.sender', true), '') $$;
comment on function punit.sender() is
    'for a handler: the unit that sent the message that is being handled. If others passed it on:'
    ' the first';
grant execute on function punit.sender() to punit_service;

create or replace function punit.refuse_message(p_rule text, p_what text) returns void
language plpgsql
as $$
begin
    raise exception '%', p_rule using errcode = 'PU403', detail = p_what;
end
$$;
comment on function punit.refuse_message(text, text) is
    'for a handler: ends a message whose sender may not say it. It is counted, logged and'
    ' acknowledged with the rule, and has no effect';

create or replace function punit.home_of(p_unit text, p_user uuid) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select max(x.epoch)
      from (select h.epoch from punit.home h where h.origin_unit = p_unit and h.user_id = p_user
            union all
            select f.epoch from punit.former_home f
             where f.origin_unit = p_unit and f.user_id = p_user) x
$$;
comment on function punit.home_of(text, uuid) is
    'the epoch at which a unit says that it owned a user last. 0: the user was to go there, and it'
    ' refused. Null: neither';

create or replace function punit.speaks_for(p_unit text, p_user uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o       punit.own;
    v_epoch bigint := punit.home_of(p_unit, p_user);
begin
    select * into o from punit.own x where x.user_id = p_user;
    if o.state = 'ERASED' or o.state = 'FENCED' and o.fence_to = p_unit then
        return true;
    elsif p_unit = punit.self() then
        return v_epoch is not null;
    elsif o.state = 'OWNED' and (o.epoch = 1 or v_epoch >= o.epoch) then
        -- At epoch 1 a user is where the user was made: no other unit was ever the owner.
        return false;
    elsif v_epoch > 0 then
        return true;
    end if;
    -- A unit's directory comes in the same stream as its messages, and before them, but for the
    -- first copy.
    return case when exists (select from pg_subscription s
                             join pg_subscription_rel r on r.srsubid = s.oid
                              where s.subname = 'punit_from_' || p_unit and r.srsubstate <> 'r')
                then null else false end;
end
$$;
comment on function punit.speaks_for(text, uuid) is
    'whether a unit owns, or owned, a user, so that its messages about the user count. If this'
    ' unit owns the user, its own row decides. Null: this unit cannot know yet';

-- ENABLE ALWAYS: the mesh deletes these rows. It must not raise an error, which would stop the
-- subscription.
create or replace function punit.keep_former_home() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if old.origin_unit <> punit.self() and current_setting('punit.home_forgotten', true)
           is distinct from 'on'
       and not exists (select from punit.own o where o.user_id = old.user_id
                       and o.state = 'ERASED') then
        insert into punit.former_home (origin_unit, user_id, epoch)
        values (old.origin_unit, old.user_id, old.epoch)
        on conflict (origin_unit, user_id) do update
            set epoch = greatest(former_home.epoch, excluded.epoch), ended_at = now();
    end if;
    return null;
exception when others then
    raise warning 'the former home of % at % was not kept: %', old.user_id, old.origin_unit,
        sqlerrm;
    return null;
end
$$;
comment on function punit.keep_former_home() is
    'keeps what a unit''s row of punit.home said, when the unit deletes it';

create or replace trigger former after delete on punit.home
    for each row execute function punit.keep_former_home();
alter table punit.home enable always trigger former;
