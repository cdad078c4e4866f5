/* Social: posts, followers, likes and the feed. All of it is owned. Other users' units learn of it
 * by punit.outbox. */
#include "lib/http/service.h"
#include "lib/pg/ownership.h"

static const punit_member_t post[] = {
    { "text", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 5000) },
    { "activity_id", PUNIT_UUID, .nullable = true },
    { 0 },
};

/* A page of the users on the other side of a relation, newest first. */
#define RELATED(table, other)                                                                      \
    "with page as (select row_number() over (order by f.followed_at desc, f." other " desc) as n," \
    " json_build_object('user_id', f." other ", 'since', punit.rfc3339(f.followed_at)) as item,"   \
    " json_build_array(punit.rfc3339(f.followed_at), f." other ") as key from " table " f"         \
    " where f.user_id = $1 and f.followed_at is not null"                                          \
    " and ($4::timestamptz is null or (f.followed_at, f." other ") < ($4, $5::uuid))"              \
    " order by f.followed_at desc, f." other " desc limit $3::int + 1)"                            \
    " select o.epoch, " PUNIT_OWNERSHIP_AGE ", " PUNIT_PAGE("$3::int")                             \
        PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_READABLE
#define RELATED_BIND                                                                     \
    {                                                                                    \
        PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) \
    }

static const punit_route_t routes[] = {
    { "POST", "/social/posts", PUNIT_OWNED, .idempotent = true, .members = post,
      .sql = "select * from social.add_post($1, $2, $3, $4, $5)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_ROUTE, PUNIT_P_SHA, PUNIT_P_BODY } },

    { "GET", "/social/posts/{id:uuid}", PUNIT_OWNED, .stale = true,
      .sql = "select o.epoch, " PUNIT_OWNERSHIP_AGE
             ", case when v.document is null then 404 else 200 end as status,"
             " v.document as body" PUNIT_OWNERSHIP_FROM
             " left join social.visible($1, $3) v on true" PUNIT_OWNERSHIP_READABLE,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_PATH("id") } },

    { "DELETE", "/social/posts/{id:uuid}", PUNIT_OWNED,
      .sql = "select epoch, status from social.delete_post($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },

    { "PUT", "/social/posts/{id:uuid}/like", PUNIT_OWNED,
      .sql = "select epoch, status from social.like_post($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },

    { "DELETE", "/social/posts/{id:uuid}/like", PUNIT_OWNED,
      .sql = "select epoch, status from social.unlike_post($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },

    { "GET", "/social/following", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID }, .sql = RELATED("social.following", "author_id"),
      .bind = RELATED_BIND },

    { "GET", "/social/followers", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID }, .sql = RELATED("social.follower", "follower_id"),
      .bind = RELATED_BIND },

    { "PUT", "/social/following/{user_id:uuid}", PUNIT_OWNED,
      .sql = "select epoch, status, problem, detail from social.follow($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("user_id") } },

    { "DELETE", "/social/following/{user_id:uuid}", PUNIT_OWNED,
      .sql = "select epoch, status from social.unfollow($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("user_id") } },

    { "GET", "/social/feed", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID },
      .sql = "with page as (select * from social.feed_page($1, $3::int, $4, $5))"
             " select o.epoch, " PUNIT_OWNERSHIP_AGE ", " PUNIT_PAGE("$3::int")
                 PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_READABLE,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_LIMIT, PUNIT_P_CURSOR(0),
                PUNIT_P_CURSOR(1) } },

    { 0 },
};

static const punit_service_t service = { .name = "social", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
