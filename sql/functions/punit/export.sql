-- The export of a user.

create or replace function punit.not_exported() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(u.tab order by u.tab), '{}') from punit.user_table u
     where not exists (select from punit.exporter e where u.tab = any (e.tabs))
$$;
comment on function punit.not_exported() is
    'tables of users'' rows that no export covers: an error in the schema';

create or replace function punit.export_unit(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'owner', (select json_build_object('unit', punit.self(), 'state', o.state, 'epoch', o.epoch,
                                           'version', o.ver)
                    from punit.own o where o.user_id = p_user),
        'homes', (select coalesce(json_agg(json_build_object('unit', h.origin_unit, 'epoch',
                                                             h.epoch) order by h.epoch), '[]')
                    from punit.home h where h.user_id = p_user),
        'moves', (select coalesce(json_agg(json_build_object('from', m.from_unit, 'to', m.to_unit,
                                                             'result', m.result,
                             'started_at', m.started_at, 'finished_at',
                                 m.finished_at) order by m.started_at), '[]')
                    from punit.move m where m.user_id = p_user),
        'deleted', (select coalesce(json_agg(json_build_object('table', t.tab, 'key', t.pk, 'at',
                                                               t.buried_at)
                             order by t.ver), '[]')
                    from punit.tomb t where t.user_id = p_user),
        'answers', (select coalesce(json_agg(json_build_object('key', d.request_id, 'route',
                                                               d.route, 'status', d.status,
                             'body', d.body, 'at', d.created_at) order by d.created_at), '[]')
                    from punit.dedup d where d.user_id = p_user),
        'messages', (select coalesce(json_agg(json_build_object('to', x.target_unit, 'kind', x.kind,
                                                                'payload', x.payload,
                             'at', x.created_at) order by x.seq), '[]')
                    from punit.outbox x where x.user_id = p_user and x.origin_unit = punit.self()))
$$;
comment on function punit.export_unit(uuid) is
    'what the units themselves hold: owner, former homes, keys of deleted rows, answers kept for'
    ' repeats, messages under way';

create or replace function punit.export_user(p_user uuid) returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    x      punit.exporter;
    v_part json;
    v_text text := '';
begin
    if punit.not_exported() <> '{}' then
        raise exception 'no export covers %', punit.not_exported() using errcode = 'PU500';
    end if;
    for x in select * from punit.exporter e order by e.service loop
        execute format('select %s($1)', punit.registered(x.fn, '(uuid)')) into v_part
            using p_user;
        v_text := v_text || ',' || to_json(x.service) || ':' || coalesce(v_part, 'null');
    end loop;
    return ('{"user_id":' || to_json(p_user) || ',"exported_at":' || to_json(punit.rfc3339(now()))
            || v_text || '}')::json;
end
$$;
comment on function punit.export_user(uuid) is 'all parts of the export of a user, in one snapshot';

create or replace function punit.export_answer(p_user uuid, out body json, out etag text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    -- The first match is the member of the export itself: a service's name has no quotes.
    select x.export, '"' || encode(substr(sha256(convert_to(
               regexp_replace(x.export::text, '"exported_at":"[^"]*",', ''), 'UTF8')), 1, 16),
               'hex') || '"'
      from punit.export_user(p_user) x (export)
$$;
comment on function punit.export_answer(uuid) is
    'the export, and an ETag that stays the same while nothing but the time of the export changes';
grant execute on function punit.export_answer(uuid) to punit_profile;
