-- Roles. Every object belongs to the superuser who applies these files. PUBLIC has no rights, so
-- each file grants what the roles need.

do $$
declare
    r text;
begin
    foreach r in array array['punit_service', 'punit_peer'] loop
        if not exists (select from pg_roles where rolname = r) then
            execute format('create role %I nologin', r);
        end if;
    end loop;
    foreach r in array array['punit_auth', 'punit_profile', 'punit_training', 'punit_metrics',
                             'punit_sports', 'punit_social'] loop
        if not exists (select from pg_roles where rolname = r) then
            execute format('create role %I login', r);
        end if;
        execute format('grant punit_service to %I', r);
    end loop;
    foreach r in array array['punit_mover', 'punit_gridd'] loop
        if not exists (select from pg_roles where rolname = r) then
            execute format('create role %I login', r);
        end if;
    end loop;
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I'
                   ' to punit_service, punit_mover, punit_gridd, punit_peer', current_database());
    -- the mover stages rows in temporary tables
    execute format('grant temporary on database %I to punit_mover', current_database());
end
$$;

comment on role punit_service is 'group of the login roles of the services';
comment on role punit_peer is
    'group of the login roles punit_peer_<unit id>, as which peers connect';
comment on role punit_mover is
    'moves users; the only role that writes rows of users that this unit does not own';
comment on role punit_gridd is 'writes the generations and the ended tokens to the grid';

revoke all on schema public from public;
alter default privileges revoke execute on functions from public;

-- The old owner has checked and stamped the rows that arrive: no trigger may fire for them again.
grant set on parameter session_replication_role to punit_mover;

grant usage on schema punit to punit_service, punit_mover, punit_gridd, punit_peer;
grant select on punit.schema_version to punit_service, punit_mover, punit_gridd;
