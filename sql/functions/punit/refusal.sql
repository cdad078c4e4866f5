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

-- What the library of PostgreSQL counts: its setting is readable for superusers alone.
create or replace function punit.session_refusals()
returns table (peer text, role text, rule text, n bigint, first_at timestamptz, last_at timestamptz)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select r.* from json_to_recordset(
        coalesce(nullif(current_setting('punit_guard.refusals', true), ''), '[]')::json)
        as r (peer text, role text, rule text, n bigint, first_at timestamptz,
              last_at timestamptz)
$$;
comment on function punit.session_refusals() is
    'what sessions of peers were refused since PostgreSQL started, counted by punit_guard.so. role:'
    ' peer, stream or mesh, or login: the connection was not let in. peer: -: nobody knows who;'
    ' *: further ones';
grant execute on function punit.session_refusals() to punit_gridd;

create or replace view punit.refusals as
    select r.peer, r.source, r.rule, r.n, r.first_at, r.last_at, r.last from punit.refusal r
    union all
    select s.peer, 'session ' || s.role, s.rule, s.n, s.first_at, s.last_at, null
      from punit.session_refusals() s;
comment on view punit.refusals is
    'what this unit refused from its peers: rows, messages, calls and hand-overs (punit.refusal),'
    ' and sessions (punit.session_refusals)';
grant select on punit.refusals to punit_gridd;
