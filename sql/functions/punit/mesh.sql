-- The mesh: what a unit publishes to its peers. Each unit publishes the rows that it wrote and no
-- others, so nothing loops and nothing conflicts.

create or replace view punit.inherited_table as
    select t.tab
      from (select to_regclass(r.tab) as tab from punit.reference_table r
            union all
            select unnest(array[to_regclass('auth.name'), to_regclass('auth.ended')])) t
     where t.tab is not null;
comment on view punit.inherited_table is
    'tables that every unit has and whose rows get another author when theirs leaves: reference'
    ' rows, login names, ended tokens';

create or replace function punit.mesh_plan(p_from text, p_to text)
returns table (publication text, tab regclass, filter text)
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select 'punit_reference', t.tab, format('origin_unit = %L', p_from)
      from (select i.tab from punit.inherited_table i
            union all
            select unnest(array['punit.unit', 'punit.unit_key', 'punit.unit_key_held',
                          'punit.unit_key_end', 'punit.home']::regclass[])) t
    union all
    select 'punit_messages_' || p_to, 'punit.outbox'::regclass,
           format('origin_unit = %L and target_unit = %L', p_from, p_to)
     where p_to is not null
    union all
    select 'punit_messages_' || p_to, 'punit.outbox_ack'::regclass,
           format('target_unit = %L and origin_unit = %L', p_from, p_to)
     where p_to is not null
$$;
comment on function punit.mesh_plan(text, text) is
    'the publications of unit p_from to which unit p_to subscribes, their tables and row filters;'
    ' p_to null: those for every unit';

create or replace function punit.make_peer_roles(p_id text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_calls   name := 'punit_peer_' || p_id;
    v_streams name := 'punit_stream_' || p_id;
begin
    if not exists (select from pg_roles where rolname = v_calls) then
        execute format('create role %I login in role punit_peer', v_calls);
        execute format('comment on role %I is %L', v_calls,
                       'unit ' || p_id || ' calls, by its certificate');
    end if;
    if not exists (select from pg_roles where rolname = v_streams) then
        execute format('create role %I login replication in role punit_stream', v_streams);
        execute format('comment on role %I is %L', v_streams,
                       'unit ' || p_id || ' streams, by its certificate');
    end if;
    if not exists (select from pg_roles where rolname in (v_calls, v_streams)
                                          and rolconnlimit = -1) then
        return;
    end if;
    -- A peer's mover, auth and operator hold fewer sessions, and a subscription 5. A peer that
    -- wants more leaves the services of this unit theirs.
    execute format('alter role %I connection limit 32', v_calls);
    execute format('alter role %I connection limit 12', v_streams);
    execute format('alter role %I set temp_file_limit = ''1GB''', v_calls);
    execute format('alter role %I set temp_file_limit = ''1GB''', v_streams);
    -- For what a program of the peer forgets. A peer may set these three anew.
    execute format('alter role %I set statement_timeout = ''5min''', v_calls);
    execute format('alter role %I set lock_timeout = ''1min''', v_calls);
    execute format('alter role %I set idle_in_transaction_session_timeout = ''1min''', v_calls);
end
$$;
comment on function punit.make_peer_roles(text) is
    'makes the two roles of a peer, with their limits; a role that is there keeps its attributes,'
    ' and a limit that the operator has set';

create or replace function punit.publish() returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    p record;
    s record;
    n int := 0;
begin
    for p in
        select m.publication,
               string_agg(format('%s where (%s)', m.tab, m.filter), ', ' order by m.tab::text)
                   as tables,
               array_agg(m.tab::text order by m.tab::text) as names
          from (select * from punit.mesh_plan(punit.self(), null)
                union all
                select x.* from punit.peer, punit.mesh_plan(punit.self(), peer.id) x
                 where x.publication <> 'punit_reference') m
         group by m.publication
    loop
        for s in select m.tab from punit.mesh_plan(punit.self(), '-') m loop
            execute format('grant usage on schema %I to punit_stream',
                           (select c.relnamespace::regnamespace::text from pg_class c
                            where c.oid = s.tab));
            execute format('grant select on %s to punit_stream', s.tab);
            -- release 0.2.0 had one role for both
            if s.tab <> 'punit.unit'::regclass then
                execute format('revoke all on %s from punit_peer', s.tab);
            end if;
        end loop;
        if not exists (select from pg_publication where pubname = p.publication) then
            -- a TRUNCATE here would empty the table at the peers, rows of others included
            execute format('create publication %I for table %s with (publish = ''insert, update,'
                           ' delete'')',
                           p.publication, p.tables);
            n := n + 1;
        elsif p.names is distinct from
              (select array_agg(r.prrelid::regclass::text order by r.prrelid::regclass::text)
                 from pg_publication_rel r join pg_publication b on b.oid = r.prpubid
                where b.pubname = p.publication) then
            execute format('alter publication %I set table %s', p.publication, p.tables);
            n := n + 1;
        end if;
    end loop;
    return n;
end
$$;
comment on function punit.publish() is
    'makes the publications agree with the tables and the peers; says how many were made or'
    ' changed';

create or replace function punit.add_peer(p_id text, p_pg text, p_listener text) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_new boolean;
begin
    if p_id = punit.self() then
        raise exception 'unit % is this one', p_id using errcode = 'PU422';
    end if;
    if exists (select from punit.me m where m.left_at is not null) then
        raise exception 'unit % has left the system; a unit that comes again is made from nothing',
            punit.self()
            using errcode = 'PU422';
    end if;
    perform punit.make_peer_roles(p_id);
    select not exists (select from punit.peer p
                        where p.id = p_id and p.pg = p_pg and p.listener is not distinct
                            from p_listener)
      into v_new;
    insert into punit.peer as p (id, pg, listener) values (p_id, p_pg, p_listener)
    on conflict (id) do update set pg = excluded.pg, listener = excluded.listener
     where (p.pg, p.listener) is distinct from (excluded.pg, excluded.listener);
    perform punit.own_subscription(p_id);
    perform punit.publish();
    return v_new;
end
$$;
comment on function punit.add_peer(text, text, text) is
    'makes a peer known: its row, its roles, the messages for it; true if something was new';

create or replace function punit.drop_peer(p_id text) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('drop publication if exists %I', 'punit_messages_' || p_id);
    execute format('drop role if exists %I, %I, %I', 'punit_peer_' || p_id, 'punit_stream_' || p_id,
                   'punit_mesh_' || p_id);
    delete from punit.invitation i where i.id = p_id;
    delete from punit.peer p where p.id = p_id;
    return found;
end
$$;
comment on function punit.drop_peer(text) is
    'the opposite of punit.add_peer, once the peer''s slot and the subscription to it are gone;'
    ' false: there was no such peer';

create or replace function punit.leave_replication() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('alter role %I noreplication', 'punit_peer_' || punit.caller());
end
$$;
comment on function punit.leave_replication() is
    'the calling peer streams as punit_stream_<its id>: its other role streams no more';
grant execute on function punit.leave_replication() to punit_peer;

create or replace function punit.forget_origin(p_unit text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- the guards refuse to change rows of another unit; as in replication, they stay silent here
set session_replication_role = replica
as $$
declare
    m record;
    n bigint;
    v_all bigint := 0;
begin
    perform set_config('punit.home_forgotten', 'on', true);
    for m in select * from punit.mesh_plan(p_unit, punit.self()) loop
        execute format('delete from %s where %s', m.tab, m.filter);
        get diagnostics n = row_count;
        v_all := v_all + n;
    end loop;
    return v_all;
end
$$;
comment on function punit.forget_origin(text) is
    'deletes here what a peer wrote, before all of it is copied again (punitctl mesh resync); says'
    ' how many rows';
