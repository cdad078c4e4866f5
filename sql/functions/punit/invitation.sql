-- Invitations of new units.

create or replace function punit.invite(p_id text, p_pg text, p_listener text, p_number uuid,
    p_introduction text, p_expires timestamptz)
returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from punit.unit u where u.id = p_id and u.retired_at is null)
       or exists (select from pg_replication_slots s
                   where s.slot_name = 'punit_to_' || replace(p_id, '-', '_')) then
        raise exception 'unit % has joined this system already', p_id using errcode = 'PU422';
    end if;
    perform punit.add_peer(p_id, p_pg, p_listener);
    insert into punit.invitation as i (id, number, introduction, expires_at)
    values (p_id, p_number, p_introduction, p_expires)
    on conflict (id) do update set number = excluded.number, introduction = excluded.introduction,
        invited_at = now(), expires_at = excluded.expires_at;
end
$$;
comment on function punit.invite(text, text, text, uuid, text, timestamptz) is
    'makes an invited unit known as a peer, and keeps its introduction; PU422: it has joined';

create or replace function punit.invited(p_id text, p_number uuid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_row punit.invitation;
begin
    select * into v_row from punit.invitation i where i.id = p_id;
    if not found then
        return 'withdrawn';
    elsif exists (select from pg_replication_slots s
                   where s.slot_name = 'punit_to_' || replace(p_id, '-', '_')) then
        return 'used';
    elsif v_row.number <> p_number then
        return 'replaced';
    elsif v_row.expires_at < now() then
        return 'expired';
    end if;
    return 'good';
end
$$;
comment on function punit.invited(text, uuid) is
    'what the invite with that number is worth: good, expired, replaced by a later one, used, or'
    ' withdrawn (the unit was removed)';
grant execute on function punit.invited(text, uuid) to punit_peer;
