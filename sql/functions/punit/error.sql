-- Errors of a request that only the database can see. A worker answers PU422 as 422 with these
-- errors.

create or replace function punit.invalid(p_pointer text, p_detail text) returns void
language plpgsql
as $$
begin
    raise exception 'invalid' using errcode = 'PU422',
        detail = json_build_array(json_build_object('pointer', p_pointer, 'detail', p_detail));
end
$$;
comment on function punit.invalid(text, text) is
    'raises PU422 about one member of the body (JSON pointer, RFC 6901)';
grant execute on function punit.invalid(text, text) to punit_service;
