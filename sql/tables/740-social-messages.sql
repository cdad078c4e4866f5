-- The turns of social's messages, and the one message that brings an author's posts to a new
-- follower.

update punit.message_handler set class = 3
 where kind in ('social-follow', 'social-like');
insert into punit.message_handler (kind, fn, class)
values ('social-posts', 'social.hear_posts', 3);
