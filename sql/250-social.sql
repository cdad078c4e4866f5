-- Social: posts of each user.

create schema social;
comment on schema social is 'what users tell';
grant usage on schema social to punit_social;

create table social.post (
    user_id     uuid not null,
    id          uuid not null default gen_random_uuid(),
    text        text not null check (length(text) between 1 and 5000),
    activity_id uuid,
    created_at  timestamptz(3) not null default now(),
    ver         bigint not null,
    primary key (user_id, id)
);
comment on table social.post is 'one post; it belongs to its author';
comment on column social.post.activity_id is
    'an activity of the author; checked when written, left as it is when the activity is deleted';
create index post_by_time on social.post (user_id, created_at desc, id desc);

select punit.register_user_table('social.post');

create function social.post_document(p social.post) returns json
language sql stable
return (select row_to_json(d) from (
    select p.id, p.user_id as author_id, p.text, p.activity_id, punit.rfc3339(p.created_at) as created_at) d);
comment on function social.post_document(social.post) is 'the post as readers see it';

create function social.add_post(p_user uuid, p_key text, p_route text, p_sha bytea, p_body jsonb)
returns table (epoch bigint, status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_fence record;
    v_given record;
    v_row   social.post;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    -- asked after the bump: the same request may have been running beside us
    select d.* into v_given from punit.dedup_find(p_user, p_key, p_route, p_sha) d;
    if found and v_given.conflict then
        status := 422;
        problem := 'key-reused';
    elsif found then
        status := v_given.status;
        body := v_given.body;
        location := '/social/posts/' || (body::json->>'id');
    else
        if p_body->>'activity_id' is not null
           and exists (select sports.missing_activities(p_user, array[(p_body->>'activity_id')::uuid])) then
            perform punit.invalid('/activity_id', 'no such activity of yours');
        end if;
        insert into social.post (user_id, text, activity_id)
        values (p_user, p_body->>'text', (p_body->>'activity_id')::uuid)
        returning * into v_row;
        status := 201;
        body := social.post_document(v_row)::text;
        location := '/social/posts/' || v_row.id;
        perform punit.dedup_store(p_user, p_key, p_route, p_sha, v_fence.ver, status, body);
    end if;
    return next;
end
$$;
comment on function social.add_post(uuid, text, text, bytea, jsonb) is
    'POST; no row: the user is not owned here; 422 key-reused: the key had another body';

create function social.feed_page(p_user uuid, p_limit int, p_after_at timestamptz, p_after_id uuid)
returns table (n bigint, item json, key json)
language sql stable
begin atomic
    select row_number() over (order by p.created_at desc, p.id desc), social.post_document(p),
           json_build_array(punit.rfc3339(p.created_at), p.id)
      from social.post p
     where p.user_id = p_user
       and (p.created_at, p.id) < (coalesce(p_after_at, 'infinity'),
                                   coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
     order by p.created_at desc, p.id desc
     limit p_limit + 1;
end;
comment on function social.feed_page(uuid, int, timestamptz, uuid) is
    'the user''s own posts, newest first, after the given key, one more than p_limit';

grant select, insert, delete on social.post to punit_social;
grant execute on all functions in schema social to punit_social;
