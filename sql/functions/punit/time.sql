-- Times in answers.

create or replace function punit.rfc3339(p_at timestamptz) returns text
language sql stable strict parallel safe
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
comment on function punit.rfc3339(timestamptz) is 'RFC 3339 in UTC with milliseconds';
grant execute on function punit.rfc3339(timestamptz) to punit_mover, punit_service;
