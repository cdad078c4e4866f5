-- What a user does: follow, unfollow, like, unlike. No row: the user is not owned here.

create or replace function social.follow(p_user uuid, p_author uuid)
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
        insert into social.following (user_id, id, author_id)
            values (p_user, social.pair(p_user, p_author), p_author)
        on conflict do nothing
        returning followed_at into v_at;
        if found then
            perform punit.send_latest('social-follow', p_user, p_author,
                                      jsonb_build_object('since', v_at, 'ver', v_fence.ver));
        end if;
    end if;
    return next;
end
$$;
comment on function social.follow(uuid, uuid) is
    'PUT /social/following/{user_id}; no row: the user is not owned here';
grant execute on function social.follow(uuid, uuid) to punit_social;

create or replace function social.unfollow(p_user uuid, p_author uuid)
returns table (epoch bigint, status int)
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
    delete from social.following f where f.user_id = p_user and f.id = social.pair(p_user,
        p_author);
    if found then
        status := 204;
        delete from social.feed f where f.user_id = p_user and f.author_id = p_author;
        perform punit.send_latest('social-follow', p_user, p_author,
                                  jsonb_build_object('since', null, 'ver', v_fence.ver));
    end if;
    return next;
end
$$;
comment on function social.unfollow(uuid, uuid) is
    'DELETE /social/following/{user_id}; the author''s posts leave the feed; no row: the user is'
    ' not owned here';
grant execute on function social.unfollow(uuid, uuid) to punit_social;

create or replace function social.like_post(p_user uuid, p_post uuid)
returns table (epoch bigint, status int)
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
        insert into social.liked (user_id, post_id, author_id) values (p_user, p_post, v_author)
            on conflict do nothing;
        if found then
            perform punit.send_latest('social-like', p_user, v_author,
                                      jsonb_build_object('post_id', p_post, 'likes', true, 'ver',
                                                         v_fence.ver),
                                      jsonb_build_object('post_id', p_post));
        end if;
    end if;
    return next;
end
$$;
comment on function social.like_post(uuid, uuid) is
    'PUT /social/posts/{id}/like of a post that the user can see; no row: the user is not owned'
    ' here';
grant execute on function social.like_post(uuid, uuid) to punit_social;

create or replace function social.unlike_post(p_user uuid, p_post uuid)
returns table (epoch bigint, status int)
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
    delete from social.liked l where l.user_id = p_user and l.post_id = p_post returning l.author_id
        into v_author;
    if found then
        status := 204;
        perform punit.send_latest('social-like', p_user, v_author,
                                  jsonb_build_object('post_id', p_post, 'likes', false, 'ver',
                                                     v_fence.ver),
                                  jsonb_build_object('post_id', p_post));
    end if;
    return next;
end
$$;
comment on function social.unlike_post(uuid, uuid) is
    'DELETE /social/posts/{id}/like, also of a post that the user no longer sees; no row: the user'
    ' is not owned here';
grant execute on function social.unlike_post(uuid, uuid) to punit_social;
