-- The handlers of the service's messages (punit.message_handler). The user whom a message is for
-- has been bumped.

create or replace function social.post_state(p_user uuid, p_ver bigint, p_post uuid) returns jsonb
language sql stable
begin atomic
    select jsonb_build_object('post_id', p_post, 'ver', p_ver, 'text', p.text, 'activity_id',
                              p.activity_id,
                              'created_at', p.created_at, 'likes', p.likes)
      from (values (1)) one left join social.post p on p.user_id = p_user and p.id = p_post;
end;
comment on function social.post_state(uuid, bigint, uuid) is
    'a post as its author''s unit tells it to feeds; text null: it is deleted';

create or replace function social.hear_publish(p_user uuid, p_ver bigint, p_about uuid,
                                               p_payload jsonb) returns boolean
language plpgsql volatile
as $$
begin
    perform punit.send_to('social-post', p_user,
        array(select f.follower_id from social.follower f where f.user_id = p_user
              and f.followed_at is not null),
        social.post_state(p_user, p_ver, (p_payload->>'post_id')::uuid));
    return false;
end
$$;
comment on function social.hear_publish(uuid, bigint, uuid, jsonb) is
    'message social-publish, to the author: a post changed; tells each unit with followers of the'
    ' author';

create or replace function social.take_posts(p_user uuid, p_author uuid, p_posts jsonb)
returns void
language plpgsql volatile
as $$
begin
    -- The user may have unfollowed meanwhile.
    if not exists (select from social.following f where f.user_id = p_user
                   and f.id = social.pair(p_user, p_author)) then
        return;
    end if;
    insert into social.feed as f (user_id, post_id, author_id, text, activity_id, created_at, likes,
                                  post_ver)
    select distinct on (n.post_id) p_user, n.post_id, p_author, n.text, n.activity_id,
           coalesce(n.created_at, now()), coalesce(n.likes, 0), n.ver
      from jsonb_to_recordset(p_posts)
        as n (post_id uuid, ver bigint, text text, activity_id uuid, created_at timestamptz,
              likes bigint)
     order by n.post_id, n.ver desc
    on conflict (user_id, post_id) do update
        set text = excluded.text, activity_id = excluded.activity_id, likes = excluded.likes,
            post_ver = excluded.post_ver
        -- the id of a post of another author changes nothing
        where f.post_ver < excluded.post_ver and f.author_id = excluded.author_id;
    delete from social.liked l
     using jsonb_to_recordset(p_posts) as n (post_id uuid, text text)
     where n.text is null and l.user_id = p_user and l.post_id = n.post_id
       and l.author_id = p_author;
end
$$;
comment on function social.take_posts(uuid, uuid, jsonb) is
    'puts posts of an author, as social.post_state has them, into the feed of a user who follows'
    ' the author; a newer state there stays';

create or replace function social.hear_post(p_user uuid, p_ver bigint, p_about uuid,
                                            p_payload jsonb) returns boolean
language plpgsql volatile
as $$
begin
    perform social.take_posts(p_user, p_about, jsonb_build_array(p_payload));
    return false;
end
$$;
comment on function social.hear_post(uuid, bigint, uuid, jsonb) is
    'message social-post, to a follower: the state of a post; ignored if the follower has a newer'
    ' state';

create or replace function social.hear_posts(p_user uuid, p_ver bigint, p_about uuid,
                                             p_payload jsonb) returns boolean
language plpgsql volatile
as $$
begin
    perform social.take_posts(p_user, p_about, p_payload -> 'posts');
    return false;
end
$$;
comment on function social.hear_posts(uuid, bigint, uuid, jsonb) is
    'message social-posts, to a new follower: the newest posts of the author';

create or replace function social.hear_follow(p_user uuid, p_ver bigint, p_about uuid,
                                              p_payload jsonb) returns boolean
language plpgsql volatile
as $$
declare
    v_since timestamptz := (p_payload->>'since')::timestamptz;
    v_posts jsonb;
begin
    insert into social.follower as f (user_id, id, follower_id, followed_at, said_ver)
    values (p_user, social.pair(p_user, p_about), p_about, v_since, (p_payload->>'ver')::bigint)
    on conflict (user_id, id) do update
        set followed_at = excluded.followed_at, said_ver = excluded.said_ver
        where f.said_ver < excluded.said_ver;
    if not found or v_since is null then
        return false;
    end if;
    -- Includes posts made between the follow and this moment. 64 KB is what a message has room for.
    select jsonb_agg(social.post_state(p_user, p_ver, n.id)) into v_posts
      from (select p.id, sum(octet_length(p.text)) over (order by p.created_at desc, p.id desc)
                       as bytes
              from social.post p where p.user_id = p_user
             order by p.created_at desc, p.id desc limit 50) n
     where n.bytes <= 65536;
    if v_posts is not null then
        perform punit.send_latest('social-posts', p_user, p_about,
                                  jsonb_build_object('posts', v_posts));
    end if;
    return false;
end
$$;
comment on function social.hear_follow(uuid, bigint, uuid, jsonb) is
    'message social-follow, to an author: a user follows the author (one message tells the newest'
    ' 50 posts, or 64 KB of these) or follows no more';

create or replace function social.hear_like(p_user uuid, p_ver bigint, p_about uuid,
                                            p_payload jsonb) returns boolean
language plpgsql volatile
as $$
declare
    v_post uuid := (p_payload->>'post_id')::uuid;
    v_pair uuid := social.pair(p_user, p_about);
    v_likes boolean := (p_payload->>'likes')::boolean;
    v_was  social.post_like;
begin
    if not exists (select from social.post p where p.user_id = p_user and p.id = v_post) then
        return false;
    end if;
    select * into v_was from social.post_like l where l.user_id = p_user and l.post_id = v_post
        and l.id = v_pair;
    if v_was.said_ver >= (p_payload->>'ver')::bigint then
        return false;
    end if;
    insert into social.post_like (user_id, post_id, id, liker_id, likes, said_ver)
    values (p_user, v_post, v_pair, p_about, v_likes, (p_payload->>'ver')::bigint)
    on conflict (user_id, post_id, id) do update set likes = excluded.likes,
        said_ver = excluded.said_ver;
    perform social.count_like(p_user, v_post, v_likes::int - coalesce(v_was.likes, false)::int);
    return false;
end
$$;
comment on function social.hear_like(uuid, bigint, uuid, jsonb) is
    'message social-like, to an author: a user likes a post, or likes it no more';

create or replace function social.count_like(p_user uuid, p_post uuid, p_change int) returns void
language plpgsql volatile
as $$
begin
    if p_change = 0 then
        return;
    end if;
    update social.post p set likes = p.likes + p_change where p.user_id = p_user and p.id = p_post;
    -- Many likes at a time are told once: a message that is there already is handled after this
    -- one.
    if not exists (select from punit.outbox x
                    where x.user_id = p_user and x.kind = 'social-publish'
                      and cardinality(x.users) = 1 and x.users[1] = p_user
                      and x.origin_unit = punit.self() and x.target_unit = punit.self()
                      and x.payload->>'post_id' = p_post::text) then
        perform punit.send_to('social-publish', p_user, array[p_user],
                              jsonb_build_object('post_id', p_post));
    end if;
end
$$;
comment on function social.count_like(uuid, uuid, int) is
    'counts under the author''s bump, and has the feeds told';
