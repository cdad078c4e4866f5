-- Follows and likes: two rows each, one of either user, each moving with its user. A message
-- carries the state of one side to the other with that user's ver. The highest ver wins, in
-- whatever order the messages arrive.

-- In tables/, since checks call it.
create function social.pair(p_a uuid, p_b uuid) returns uuid
language sql immutable parallel safe
return md5(p_a::text || p_b::text)::uuid;
comment on function social.pair(uuid, uuid) is
    'key of a row of user a about user b. It is not the id of b: a tombstone keeps the key of a'
    ' deleted row, and must not keep the id of an erased user';
-- the mover calls it too, when it inserts rows that the checks test
grant execute on function social.pair(uuid, uuid) to punit_social, punit_mover;

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
comment on table social.following is 'the authors that a user follows: the side that decides';
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
comment on table social.follower is 'the followers of a user, as their units told';
comment on column social.follower.followed_at is
    'null: follows no more; the row stays, so that a late message cannot restore the follow';
comment on column social.follower.said_ver is 'the follower''s ver when the follower said so';
create index follower_by_time on social.follower (user_id, followed_at desc, follower_id desc)
    where followed_at is not null;
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
comment on table social.post_like is
    'the users who like a post of this user, as their units told; social.post.likes counts those'
    ' that are on';
comment on column social.post_like.said_ver is 'the liker''s ver when the liker said so';
create index post_like_ver on social.post_like (user_id, ver);
create index post_like_liker on social.post_like (liker_id);

insert into punit.user_table (tab)
values ('social.following'), ('social.follower'), ('social.post_like');
insert into punit.message_handler (kind, fn)
values ('social-follow', 'social.hear_follow'), ('social-like', 'social.hear_like');
insert into punit.forgetter (fn) values ('social.forget');
insert into punit.exporter (service, fn, tabs)
values ('social', 'social.export',
        '{social.post,social.feed,social.liked,social.following,social.follower,social.post_like}');

grant select, insert, delete on social.following to punit_social;
grant select on social.follower to punit_social;
grant select, delete on social.post_like to punit_social;
