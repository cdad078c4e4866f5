-- Social: the posts of each user, and the feed that he reads.

create schema social;
comment on schema social is 'what users tell';
grant usage on schema social to punit_social;

create table social.post (
    user_id     uuid not null,
    id          uuid not null default gen_random_uuid(),
    text        text not null check (length(text) between 1 and 5000),
    activity_id uuid,
    created_at  timestamptz(3) not null default now(),
    likes       bigint not null default 0 check (likes >= 0),
    ver         bigint not null,
    primary key (user_id, id)
);
comment on table social.post is 'one post; it belongs to its author';
comment on column social.post.likes is 'rows of social.post_like of it that are on: counted under the author''s bump';
comment on column social.post.activity_id is
    'an activity of the author; checked when written, left as it is when the activity is deleted';
create index post_by_time on social.post (user_id, created_at desc, id desc);

select punit.register_user_table('social.post');

create table social.feed (
    user_id     uuid not null,
    post_id     uuid not null,
    author_id   uuid not null,
    text        text,
    activity_id uuid,
    created_at  timestamptz(3) not null,
    likes       bigint not null default 0,
    post_ver    bigint not null,
    ver         bigint not null,
    primary key (user_id, post_id)
);
comment on table social.feed is
    'posts of those whom a user follows, as they were delivered to him. They are his rows, not the unit''s, and so move with him: wherever he goes his feed is whole at once, also where nobody else follows those authors. The price is a row for each follower; a post crosses between two units once for all of them there (500 a message)';
comment on column social.feed.text is 'null: the author deleted it; the row stays, so that a late delivery cannot bring it back';
comment on column social.feed.likes is 'as the author''s unit told last';
comment on column social.feed.post_ver is 'the author''s ver when this was true: what is older changes nothing';
create index feed_by_time on social.feed (user_id, created_at desc, post_id desc) where text is not null;
-- a user can have far more than 5,000 of them, of which a move sends those above a ver
create index feed_ver on social.feed (user_id, ver);
create index feed_author on social.feed (author_id);

create table social.liked (
    user_id   uuid not null,
    post_id   uuid not null,
    author_id uuid not null,
    liked_at  timestamptz(3) not null default now(),
    ver       bigint not null,
    primary key (user_id, post_id)
);
comment on table social.liked is 'what a user likes: his side of it';
create index liked_author on social.liked (author_id);

select punit.register_user_table('social.feed');
select punit.register_user_table('social.liked');

create function social.document(p_id uuid, p_author uuid, p_text text, p_activity uuid, p_at timestamptz, p_likes bigint, p_liked boolean)
returns json
language sql stable
return (select row_to_json(d) from (
    select p_id as id, p_author as author_id, p_text as text, p_activity as activity_id,
           punit.rfc3339(p_at) as created_at, p_likes as likes, p_liked as liked) d);
comment on function social.document(uuid, uuid, text, uuid, timestamptz, bigint, boolean) is
    'a post as a reader sees it; liked: by the reader';

create function social.visible(p_user uuid, p_id uuid)
returns table (author_id uuid, document json)
language sql stable
begin atomic
    select x.author_id, social.document(x.id, x.author_id, x.text, x.activity_id, x.created_at, x.likes,
               exists (select from social.liked l where l.user_id = p_user and l.post_id = x.id))
      from (select p.id, p.user_id as author_id, p.text, p.activity_id, p.created_at, p.likes
              from social.post p where p.user_id = p_user and p.id = p_id
            union all
            select f.post_id, f.author_id, f.text, f.activity_id, f.created_at, f.likes
              from social.feed f where f.user_id = p_user and f.post_id = p_id and f.text is not null) x;
end;
comment on function social.visible(uuid, uuid) is 'a post that the user can see: his own or one in his feed; no row: none';

create function social.add_post(p_user uuid, p_key text, p_route text, p_sha bytea, p_body jsonb)
returns table (epoch bigint, status int, body text, location text, problem text)
language plpgsql
as $$
declare
    v_fence record;
    v_row   social.post;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    -- asked after the bump: the same request may have been running beside us
    select d.status, d.body, d.problem into status, body, problem
      from punit.dedup_find(p_user, p_key, p_route, p_sha) d;
    if found then
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
        body := social.document(v_row.id, p_user, v_row.text, v_row.activity_id, v_row.created_at, 0, false)::text;
        -- the worker of the inbox spreads it: the author need not wait for that
        perform punit.send_to('social-publish', p_user, array[p_user], jsonb_build_object('post_id', v_row.id));
        location := '/social/posts/' || v_row.id;
        perform punit.dedup_store(p_user, p_key, p_route, p_sha, v_fence.ver, status, body);
    end if;
    return next;
end
$$;
comment on function social.add_post(uuid, text, text, bytea, jsonb) is
    'POST; no row: the user is not owned here; 422 key-reused: the key had another body';

create function social.delete_post(p_user uuid, p_id uuid) returns table (epoch bigint, status int)
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
        perform punit.send_to('social-publish', p_user, array[p_user], jsonb_build_object('post_id', p_id));
    end if;
    return next;
end
$$;
comment on function social.delete_post(uuid, uuid) is 'DELETE, here and in the feeds; no row: the user is not owned here';

create function social.feed_page(p_user uuid, p_limit int, p_after_at timestamptz, p_after_id uuid)
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
                                        coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          order by p.created_at desc, p.id desc limit p_limit + 1)
        union all
        (select f.post_id, f.author_id, f.text, f.activity_id, f.created_at, f.likes
           from social.feed f
          where f.user_id = p_user and f.text is not null
            and (f.created_at, f.post_id) < (coalesce(p_after_at, 'infinity'),
                                             coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          order by f.created_at desc, f.post_id desc limit p_limit + 1)) x
     order by x.created_at desc, x.id desc
     limit p_limit + 1;
end;
comment on function social.feed_page(uuid, int, timestamptz, uuid) is
    'the user''s own posts and those delivered to him, newest first, after the given key, one more than p_limit';

grant select, insert, update, delete on social.post to punit_social;
grant select, delete on social.feed to punit_social;
grant select, insert, delete on social.liked to punit_social;
grant execute on function social.document(uuid, uuid, text, uuid, timestamptz, bigint, boolean), social.visible(uuid, uuid),
    social.add_post(uuid, text, text, bytea, jsonb), social.delete_post(uuid, uuid),
    social.feed_page(uuid, int, timestamptz, uuid) to punit_social;
grant execute on function punit.send_to(text, uuid, uuid[], jsonb) to punit_social;
