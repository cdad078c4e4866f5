-- Posts and the feed.

create or replace function social.document(p_id uuid, p_author uuid, p_text text, p_activity uuid,
                                           p_at timestamptz, p_likes bigint, p_liked boolean)
returns json
language sql stable
return (select row_to_json(d) from (
    select p_id as id, p_author as author_id, p_text as text, p_activity as activity_id,
           punit.rfc3339(p_at) as created_at, p_likes as likes, p_liked as liked) d);
comment on function social.document(uuid, uuid, text, uuid, timestamptz, bigint, boolean) is
    'a post as a reader sees it; liked: by the reader';
grant execute on function social.document(uuid, uuid, text, uuid, timestamptz, bigint, boolean)
to punit_social;

create or replace function social.visible(p_user uuid, p_id uuid)
returns table (author_id uuid, document json)
language sql stable
begin atomic
    select x.author_id, social.document(x.id, x.author_id, x.text, x.activity_id, x.created_at,
                                        x.likes,
               exists (select from social.liked l where l.user_id = p_user and l.post_id = x.id))
      from (select p.id, p.user_id as author_id, p.text, p.activity_id, p.created_at, p.likes
              from social.post p where p.user_id = p_user and p.id = p_id
            union all
            select f.post_id, f.author_id, f.text, f.activity_id, f.created_at, f.likes
              from social.feed f where f.user_id = p_user and f.post_id = p_id
                  and f.text is not null) x;
end;
comment on function social.visible(uuid, uuid) is
    'a post that the user can see: the user''s own or one in the user''s feed; no row: none';
grant execute on function social.visible(uuid, uuid) to punit_social;

create or replace function social.add_post(p_user uuid, p_key text, p_route text, p_sha bytea,
                                           p_body jsonb)
returns table (epoch bigint, status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_write record;
    v_row   social.post;
begin
    select * into v_write from punit.begin_write(p_user, p_key, p_route, p_sha);
    if not found then
        return;
    end if;
    epoch := v_write.epoch;
    status := v_write.status;
    body := v_write.body;
    problem := v_write.problem;
    if status is not null then
        location := '/social/posts/' || (body::json->>'id');
    else
        if p_body->>'activity_id' is not null
           and exists (select sports.missing_activities(p_user,
                                                        array[(p_body->>'activity_id')::uuid])) then
            perform punit.invalid('/activity_id', 'no such activity of yours');
        end if;
        insert into social.post (user_id, text, activity_id)
        values (p_user, p_body->>'text', (p_body->>'activity_id')::uuid)
        returning * into v_row;
        status := 201;
        body := social.document(v_row.id, p_user, v_row.text, v_row.activity_id, v_row.created_at,
                                0, false)::text;
        -- The worker of the inbox spreads the post, so the author need not wait.
        perform punit.send_to('social-publish', p_user, array[p_user],
                              jsonb_build_object('post_id', v_row.id));
        location := '/social/posts/' || v_row.id;
        perform punit.dedup_store(p_user, p_key, p_route, p_sha, v_write.ver, status, body);
    end if;
    return next;
end
$$;
comment on function social.add_post(uuid, text, text, bytea, jsonb) is
    'POST; no row: the user is not owned here; 422 key-reused: the key had another body';
grant execute on function social.add_post(uuid, text, text, bytea, jsonb) to punit_social;

create or replace function social.delete_post(p_user uuid, p_id uuid)
returns table (epoch bigint, status int)
language plpgsql
as $$
begin
    select b.epoch into epoch from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    delete from social.post p where p.user_id = p_user and p.id = p_id;
    status := case when found then 204 else 404 end;
    if found then
        delete from social.post_like l where l.user_id = p_user and l.post_id = p_id;
        delete from social.liked l where l.user_id = p_user and l.post_id = p_id;
        perform punit.send_to('social-publish', p_user, array[p_user],
                              jsonb_build_object('post_id', p_id));
    end if;
    return next;
end
$$;
comment on function social.delete_post(uuid, uuid) is
    'DELETE, here and in the feeds; no row: the user is not owned here';
grant execute on function social.delete_post(uuid, uuid) to punit_social;

create or replace function social.feed_page(p_user uuid, p_limit int, p_after_at timestamptz,
                                            p_after_id uuid)
returns table (n bigint, item json, key json)
language sql stable
begin atomic
    select row_number() over (order by x.created_at desc, x.id desc),
           social.document(x.id, x.author_id, x.text, x.activity_id, x.created_at, x.likes,
               exists (select from social.liked l where l.user_id = p_user and l.post_id = x.id)),
           json_build_array(punit.rfc3339(x.created_at), x.id)
      from (
        (select p.id, p.user_id as author_id, p.text, p.activity_id, p.created_at, p.likes
           from social.post p
          where p.user_id = p_user
            and (p.created_at, p.id) < (coalesce(p_after_at, 'infinity'),
                                        coalesce(p_after_id,
                                                 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          order by p.created_at desc, p.id desc limit p_limit + 1)
        union all
        (select f.post_id, f.author_id, f.text, f.activity_id, f.created_at, f.likes
           from social.feed f
          where f.user_id = p_user and f.text is not null
            and (f.created_at, f.post_id) < (coalesce(p_after_at, 'infinity'),
                                             coalesce(p_after_id,
                                                      'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          order by f.created_at desc, f.post_id desc limit p_limit + 1)) x
     order by x.created_at desc, x.id desc
     limit p_limit + 1;
end;
comment on function social.feed_page(uuid, int, timestamptz, uuid) is
    'the user''s own posts and those delivered to the user, newest first, after the given key, one'
    ' row more than p_limit';
grant execute on function social.feed_page(uuid, int, timestamptz, uuid) to punit_social;
