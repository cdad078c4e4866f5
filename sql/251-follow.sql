-- Who follows whom, who likes what: two rows each, one of either user, each with its user. A message carries one
-- side's state to the other with the ver of whom it is about; the newest ver wins, in whatever order they come.

create function social.pair(p_a uuid, p_b uuid) returns uuid
language sql immutable parallel safe
return md5(p_a::text || p_b::text)::uuid;
comment on function social.pair(uuid, uuid) is
    'key of a row of user a about user b. Not b''s id: a key stays in the tombstone of a deleted row, and b''s id must not when b is erased';

create table social.following (
    user_id     uuid not null,
    id          uuid not null,
    author_id   uuid not null,
    followed_at timestamptz(3) not null default now(),
    ver         bigint not null,
    primary key (user_id, id),
    check (id = social.pair(user_id, author_id)),
    check (author_id <> user_id)
);
comment on table social.following is 'whom a user follows: his side, the one that decides';
create index following_by_time on social.following (user_id, followed_at desc, author_id desc);
create index following_author on social.following (author_id);

create table social.follower (
    user_id     uuid not null,
    id          uuid not null,
    follower_id uuid not null,
    followed_at timestamptz(3),
    said_ver    bigint not null,
    ver         bigint not null,
    primary key (user_id, id),
    check (id = social.pair(user_id, follower_id))
);
comment on table social.follower is 'who follows a user: what his followers told';
comment on column social.follower.followed_at is
    'null: not any more; the row stays, so that a message that comes late does not make him follow again';
comment on column social.follower.said_ver is 'the follower''s ver when he said so';
create index follower_by_time on social.follower (user_id, followed_at desc, follower_id desc) where followed_at is not null;
create index follower_ver on social.follower (user_id, ver);
create index follower_id on social.follower (follower_id);

create table social.post_like (
    user_id  uuid not null,
    post_id  uuid not null,
    id       uuid not null,
    liker_id uuid not null,
    likes    boolean not null,
    said_ver bigint not null,
    ver      bigint not null,
    primary key (user_id, post_id, id),
    check (id = social.pair(user_id, liker_id))
);
comment on table social.post_like is 'who likes a post of a user: what they told; those that do are counted in social.post.likes';
comment on column social.post_like.said_ver is 'the liker''s ver when he said so';
create index post_like_ver on social.post_like (user_id, ver);
create index post_like_liker on social.post_like (liker_id);

select punit.register_user_table('social.following');
select punit.register_user_table('social.follower');
select punit.register_user_table('social.post_like');

-- ---- what a user does

create function social.follow(p_user uuid, p_author uuid)
returns table (epoch bigint, status int, problem text, detail text)
language plpgsql
as $$
declare
    v_fence record;
    v_at    timestamptz;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    status := 204;
    if p_author = p_user then
        status := 422;
        detail := 'nobody follows himself';
    elsif not exists (select from punit.owner_of(p_author) o where o.unit is not null) then
        status := 404;
    else
        insert into social.following (user_id, id, author_id) values (p_user, social.pair(p_user, p_author), p_author)
        on conflict do nothing
        returning followed_at into v_at;
        if found then
            perform punit.send_to('social-follow', p_user, array[p_author],
                                  jsonb_build_object('since', v_at, 'ver', v_fence.ver));
        end if;
    end if;
    return next;
end
$$;
comment on function social.follow(uuid, uuid) is 'PUT /social/following/{user_id}; no row: the user is not owned here';

create function social.unfollow(p_user uuid, p_author uuid) returns table (epoch bigint, status int)
language plpgsql
as $$
declare
    v_fence record;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    status := 404;
    delete from social.following f where f.user_id = p_user and f.id = social.pair(p_user, p_author);
    if found then
        status := 204;
        delete from social.feed f where f.user_id = p_user and f.author_id = p_author;
        perform punit.send_to('social-follow', p_user, array[p_author],
                              jsonb_build_object('since', null, 'ver', v_fence.ver));
    end if;
    return next;
end
$$;
comment on function social.unfollow(uuid, uuid) is
    'DELETE /social/following/{user_id}; his posts leave the feed; no row: the user is not owned here';

create function social.like_post(p_user uuid, p_post uuid) returns table (epoch bigint, status int)
language plpgsql
as $$
declare
    v_fence  record;
    v_author uuid;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    status := 404;
    select v.author_id into v_author from social.visible(p_user, p_post) v;
    if found then
        status := 204;
        insert into social.liked (user_id, post_id, author_id) values (p_user, p_post, v_author) on conflict do nothing;
        if found then
            perform punit.send_to('social-like', p_user, array[v_author],
                                  jsonb_build_object('post_id', p_post, 'likes', true, 'ver', v_fence.ver));
        end if;
    end if;
    return next;
end
$$;
comment on function social.like_post(uuid, uuid) is
    'PUT /social/posts/{id}/like of a post that he can see; no row: the user is not owned here';

create function social.unlike_post(p_user uuid, p_post uuid) returns table (epoch bigint, status int)
language plpgsql
as $$
declare
    v_fence  record;
    v_author uuid;
begin
    select b.ver, b.epoch into v_fence from punit.bump(p_user) b;
    if not found then
        return;
    end if;
    epoch := v_fence.epoch;
    status := 404;
    delete from social.liked l where l.user_id = p_user and l.post_id = p_post returning l.author_id into v_author;
    if found then
        status := 204;
        perform punit.send_to('social-like', p_user, array[v_author],
                              jsonb_build_object('post_id', p_post, 'likes', false, 'ver', v_fence.ver));
    end if;
    return next;
end
$$;
comment on function social.unlike_post(uuid, uuid) is
    'DELETE /social/posts/{id}/like, also of a post that he sees no more; no row: the user is not owned here';

grant select, insert, delete on social.following to punit_social;
grant select on social.follower to punit_social;
grant select, delete on social.post_like to punit_social;
grant execute on function social.pair(uuid, uuid), social.follow(uuid, uuid), social.unfollow(uuid, uuid),
    social.like_post(uuid, uuid), social.unlike_post(uuid, uuid) to punit_social;
-- the checks of the tables call it also when the mover enters rows
grant execute on function social.pair(uuid, uuid) to punit_mover;
