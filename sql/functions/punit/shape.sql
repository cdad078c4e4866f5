-- The shape of all registered tables: both units of a move compare it.

create or replace function punit.note_shape() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    update punit.shape s set lines = x.lines
      from (select coalesce(string_agg(format('%s(%s; %s)', u.tab, a.cols,
                                              array_to_string(array_prepend('user_id', u.key),
                                                              ', ')),
                                       E'\n' order by u.tab), '') as lines
              from punit.user_table u
              cross join lateral (
                  select string_agg(format('%s %s%s', a.attname,
                                           format_type(a.atttypid, a.atttypmod),
                                           case when a.attnotnull then ' not null' else '' end),
                                               ', ' order by a.attname) cols
                    from pg_attribute a
                   where a.attrelid = to_regclass(u.tab) and a.attnum > 0 and not a.attisdropped
                     and a.attgenerated = '') a) x
     where x.lines <> s.lines
$$;
comment on function punit.note_shape() is
    'updates punit.shape from the catalogue and the registrations';

create or replace function punit.shape_changes() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform punit.note_shape();
end
$$;
comment on function punit.shape_changes() is
    'updates punit.shape after a command that may change a table';

drop event trigger if exists punit_shape;
create event trigger punit_shape on ddl_command_end
    when tag in ('CREATE TABLE', 'ALTER TABLE', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA',
                 'DROP TABLE', 'DROP TYPE',
                 'DROP DOMAIN', 'DROP SCHEMA', 'DROP EXTENSION', 'DROP OWNED')
    execute function punit.shape_changes();
alter event trigger punit_shape enable always;
comment on event trigger punit_shape is
    'updates punit.shape after a command that may change a table';

create or replace function punit.shape() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select s.lines from punit.shape s $$;
comment on function punit.shape() is 'the lines of punit.shape';
grant execute on function punit.shape() to punit_mover, punit_peer;

create or replace function punit.shape_md5() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return (select s.md5 from punit.shape s);
end
$$;
comment on function punit.shape_md5() is 'the digest of punit.shape, which messages carry';
grant execute on function punit.shape_md5() to punit_mover, punit_peer;
