-- A peer streams as punit_stream_<unit id>, and calls as punit_peer_<unit id>. So the role that
-- calls needs no REPLICATION, and the role that streams reads nothing but what is published.
--
-- The roles of peers that are known already keep REPLICATION until the peer says that it streams by
-- its new role (punit.leave_replication, `punitctl mesh join` there).

do $$
begin
    if not exists (select from pg_roles where rolname = 'punit_stream') then
        create role punit_stream nologin;
    end if;
    execute format('grant connect on database %I to punit_stream', current_database());
    -- punit.publish has granted it, and the schema has nothing else for a peer
    if to_regnamespace('training') is not null then
        revoke usage on schema training from punit_peer;
    end if;
end
$$;
comment on role punit_stream is
    'group of the login roles punit_stream_<unit id>, by which peers read their slots';

grant usage on schema punit to punit_stream;
