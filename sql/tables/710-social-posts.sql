-- Social: the posts of each user, the feed of each user, and the likes that a user gave.

create schema social;
comment on schema social is 'service social: posts, feeds, follows and likes';
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
comment on column social.post.likes is
    'number of its rows in social.post_like that are on, counted under the author''s bump';
comment on column social.post.activity_id is
    'an activity of the author; checked when the post is written, kept when the activity is'
    ' deleted';
create index post_by_time on social.post (user_id, created_at desc, id desc);

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
    'posts of the authors that a user follows, as they were delivered. The rows belong to the user'
    ' and move with the user, so the feed is whole at every unit at once. The price is a row for'
    ' each follower; a post crosses between two units once for all followers there (500 a message)';
comment on column social.feed.text is
    'null: the author deleted the post; the row stays, so that a late delivery cannot restore it';
comment on column social.feed.likes is 'as the author''s unit told last';
comment on column social.feed.post_ver is
    'the author''s ver when this was true; a message with a lower ver changes nothing';
create index feed_by_time on social.feed (user_id, created_at desc, post_id desc)
    where text is not null;
-- A user can have far more than 5,000 feed rows, of which a move sends those above a ver.
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
comment on table social.liked is 'the posts that a user likes: the user''s side';
create index liked_author on social.liked (author_id);

insert into punit.user_table (tab) values ('social.post'), ('social.feed'), ('social.liked');
insert into punit.message_handler (kind, fn)
values ('social-publish', 'social.hear_publish'), ('social-post', 'social.hear_post');

grant select, insert, update, delete on social.post to punit_social;
grant select, delete on social.feed to punit_social;
grant select, insert, delete on social.liked to punit_social;
