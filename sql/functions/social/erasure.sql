-- What rows of other users say of an erased user, and the export.

create or replace function social.forget_in(p_of uuid, p_user uuid) returns void
language plpgsql volatile
as $$
declare
    l record;
begin
    for l in delete from social.post_like x where x.user_id = p_of and x.liker_id = p_user
             returning x.post_id, x.likes loop
        if l.likes then
            perform social.count_like(p_of, l.post_id, -1);
        end if;
    end loop;
    delete from social.follower x where x.user_id = p_of and x.follower_id = p_user;
    delete from social.following x where x.user_id = p_of and x.author_id = p_user;
    delete from social.feed x where x.user_id = p_of and x.author_id = p_user;
    delete from social.liked x where x.user_id = p_of and x.author_id = p_user;
end
$$;
comment on function social.forget_in(uuid, uuid) is
    'deletes one user''s rows about an erased user; call it after the bump';

create or replace function social.forget_in_copy(p_of uuid, p_user uuid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp set session_replication_role = replica
as $$
    delete from social.post_like x where x.user_id = p_of and x.liker_id = p_user;
    delete from social.follower x where x.user_id = p_of and x.follower_id = p_user;
    delete from social.following x where x.user_id = p_of and x.author_id = p_user;
    delete from social.feed x where x.user_id = p_of and x.author_id = p_user;
    delete from social.liked x where x.user_id = p_of and x.author_id = p_user;
$$;
comment on function social.forget_in_copy(uuid, uuid) is
    'the same in a copy, which may never be refreshed: its owner deletes the same rows with'
    ' tombstones, which then find nothing to delete';

create or replace function social.forget(p_user uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_of   uuid;
    v_n    int := 0;
    v_more boolean := false;
begin
    for v_of in
        select x.user_id from social.follower x where x.follower_id = p_user
        union select x.user_id from social.following x where x.author_id = p_user
        union select x.user_id from social.feed x where x.author_id = p_user
        union select x.user_id from social.post_like x where x.liker_id = p_user
        union select x.user_id from social.liked x where x.author_id = p_user
        order by 1
    loop
        if v_n >= 500 then
            return true;
        end if;
        perform punit.bump(v_of);
        if exists (select from punit.own o where o.user_id = v_of
                   and o.bump_xid = pg_current_xact_id() and o.state = 'OWNED') then
            perform social.forget_in(v_of, p_user);
            v_n := v_n + 1;
        -- locked: a copy may be about to be activated
        elsif exists (select from punit.own o where o.user_id = v_of and o.state in ('COPY',
            'ERASED') for update) then
            perform social.forget_in_copy(v_of, p_user);
            v_n := v_n + 1;
        else
            v_more := true;     -- between two units: later
        end if;
    end loop;
    return v_more;
end
$$;
comment on function social.forget(uuid) is
    'deletes what others have of an erased user: follows, feed, likes; true: there is more';

create or replace function social.export(p_user uuid) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'posts', (select coalesce(json_agg(social.document(p.id, p.user_id, p.text, p.activity_id,
                                                           p.created_at, p.likes, null)
                             order by p.created_at),
                                 '[]') from social.post p where p.user_id = p_user),
        'feed', (select coalesce(json_agg(social.document(f.post_id, f.author_id, f.text,
            f.activity_id, f.created_at, f.likes, null)
                             order by f.created_at),
                                 '[]') from social.feed f where f.user_id = p_user),
        'following', (select coalesce(json_agg(json_build_object('user_id', f.author_id, 'since',
                                                                 punit.rfc3339(f.followed_at))
                             order by f.followed_at), '[]') from social.following f
                                 where f.user_id = p_user),
        'followers', (select coalesce(json_agg(json_build_object('user_id', f.follower_id, 'since',
                                                                 punit.rfc3339(f.followed_at))
                             order by f.followed_at),
                                 '[]') from social.follower f where f.user_id = p_user),
        'likes', (select coalesce(json_agg(json_build_object('post_id', l.post_id, 'author_id',
                                                             l.author_id,
                             'at', punit.rfc3339(l.liked_at)) order by l.liked_at), '[]')
                    from social.liked l where l.user_id = p_user),
        'liked_by', (select coalesce(json_agg(json_build_object('post_id', l.post_id, 'user_id',
                                                                l.liker_id, 'likes', l.likes)
                             order by l.post_id, l.liker_id), '[]')
                       from social.post_like l where l.user_id = p_user))
$$;
comment on function social.export(uuid) is
    'posts, feed, follows in both directions (since null: follows no more), likes given and'
    ' received';
