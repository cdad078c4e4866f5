-- What this unit refuses from its peers is counted and logged, and never an error: an error would
-- stop the subscription, or the messages behind it.

create or replace function punit.note_refusal(p_peer text, p_source text, p_rule text,
                                              p_last text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_n   bigint;
    v_gap interval;
begin
    insert into punit.refusal as r (peer, source, rule, n, last_at, last)
    values (p_peer, p_source, p_rule, 0, 'epoch', null) on conflict do nothing;
    update punit.refusal r set n = r.n + 1, last_at = clock_timestamp(), last = left(p_last, 500)
      from punit.refusal o
     where (r.peer, r.source, r.rule) = (p_peer, p_source, p_rule)
       and (o.peer, o.source, o.rule) = (r.peer, r.source, r.rule)
    returning r.n, r.last_at - o.last_at into v_n, v_gap;
    -- A peer that repeats itself fills no log.
    if v_n <= 10 or v_gap > interval '1 second' then
        raise log 'refused peer=% source=% rule=% n=% %', p_peer, p_source, p_rule, v_n,
            left(p_last, 500);
    end if;
end
$$;
comment on function punit.note_refusal(text, text, text, text) is
    'counts in punit.refusal that a peer broke a rule, and writes a line to the log: each of the'
    ' first 10, then at most one a second for each rule. p_last: what was refused, ids only';
