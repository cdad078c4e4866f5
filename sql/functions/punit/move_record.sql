-- The records of moves, as the mover writes them: their lock, FENCE, and what came.

create or replace function punit.move_lock(p_user uuid) returns void
language sql volatile
as $$ select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('punit.move'),
                                              pg_catalog.hashtext(p_user::text)) $$;
comment on function punit.move_lock(uuid) is
    'the lock of a user''s move records, until the transaction ends; ownership does not depend on'
    ' it';

create or replace function punit.fence_begin(p_user uuid, p_unit text, p_epoch bigint,
                                             p_base bigint, p_age_ms bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.move_lock(p_user);
    -- a statement of its own: it must see what the last holder of the lock committed
    if exists (select from punit.move m
                where m.user_id = p_user and m.to_unit = punit.self()
                  and (m.phase in ('retire', 'refuse')
                       or (m.cancelled
                           and m.finished_at > clock_timestamp() - p_age_ms * interval
                               '1 millisecond'))) then
        return false;
    end if;
    if p_epoch not between 1 and punit.epoch_room()
           + greatest((select o.epoch from punit.own o where o.user_id = p_user),
                      (select max(h.epoch) from punit.home h where h.user_id = p_user
                          and h.origin_unit <> p_unit), 1) then
        perform punit.note_refusal(p_unit, 'move', 'epoch',
                                   format('user=%s epoch=%s', p_user, p_epoch));
        return false;
    end if;
    insert into punit.move as m (user_id, from_unit, to_unit, phase, epoch, base_ver, mode)
    values (p_user, p_unit, punit.self(), 'fence', p_epoch, p_base, 'delta')
    on conflict (user_id, to_unit) where finished_at is null do update
        set phase = 'fence', from_unit = excluded.from_unit, epoch = excluded.epoch,
            base_ver = coalesce(m.base_ver, excluded.base_ver), mode = coalesce(m.mode, 'delta'),
            touched_at = clock_timestamp();
    return true;
end
$$;
comment on function punit.fence_begin(uuid, text, bigint, bigint, bigint) is
    'called before FENCE is sent: from its commit on the move must end by ACTIVATE or by a'
    ' refusal. False: the move was cancelled within p_age_ms (since the request that caused it),'
    ' or a message of the last move is still to be sent, or no hand-over leads to that epoch';
grant execute on function punit.fence_begin(uuid, text, bigint, bigint, bigint) to punit_mover;

create or replace function punit.move_applied(p_user uuid, p_unit text, p_mode text,
                                              p_epoch bigint, p_base bigint, p_ver bigint,
                                              p_rows bigint, p_bytes bigint, p_tombs bigint,
                                              p_fenced_at double precision,
                                              p_n bigint default null,
                                              p_digest numeric default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update punit.move m set from_unit = p_unit, mode = case when 'full' in (m.mode, p_mode)
        then 'full' else 'delta' end,
        epoch = p_epoch, base_ver = coalesce(m.base_ver, p_base), final_ver = p_ver,
            rounds = m.rounds + 1,
        rows_sent = m.rows_sent + p_rows, bytes = m.bytes + p_bytes, tombs = m.tombs + p_tombs,
            rows_due = null,
        error = null, touched_at = clock_timestamp(),
        phase = case when p_fenced_at is null then m.phase else 'retire' end,
        fenced_at = coalesce(to_timestamp(p_fenced_at), m.fenced_at),
        activated_at = case when p_fenced_at is null then m.activated_at else clock_timestamp() end,
        audit_ver = case when p_n is null then m.audit_ver else p_ver end,
        audit_n = coalesce(p_n, m.audit_n), audit_digest = coalesce(p_digest, m.audit_digest)
    where m.user_id = p_user and m.to_unit = punit.self() and m.finished_at is null;
end
$$;
comment on function punit.move_applied(uuid, text, text, bigint, bigint, bigint, bigint, bigint,
                                       bigint, double precision, bigint, numeric) is
    'notes in the move''s record what a PULL brought, in its transaction. p_fenced_at: with'
    ' ACTIVATE; p_n, p_digest: of all rows at p_ver, for the audit. A move that an operator'
    ' cancelled meanwhile has no record any more, and gets none';
grant execute on function punit.move_applied(uuid, text, text, bigint, bigint, bigint, bigint,
                                             bigint, bigint, double precision, bigint, numeric)
to punit_mover;
