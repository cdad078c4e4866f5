/* Social: the posts of each user (owned). */
#include "lib/service.h"

static const punit_member_t post[] = {
    { "text", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 5000) },
    { "activity_id", PUNIT_UUID, .nullable = true },
    {0}
};

/* Who reads: the owner's unit, or any copy while the owner is down ($2). */
#define OWN     " from punit.own o"
#define MAY     " where o.user_id = $1"                                                                     \
                " and (o.state = 'OWNED' or $2 and o.ver >= 0 and o.state <> 'ERASED')"
#define AGE     "floor(extract(epoch from now() - o.touched_at))::bigint as age"

static const punit_route_t routes[] = {
    { "POST", "/social/posts", PUNIT_OWNED, .idempotent = true, .members = post,
      .sql = "select * from social.add_post($1, $2, $3, $4, $5)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_ROUTE, PUNIT_P_SHA, PUNIT_P_BODY } },

    { "GET", "/social/posts/{id:uuid}", PUNIT_OWNED, .stale = true,
      .sql = "select o.epoch, " AGE ", case when p.id is null then 404 else 200 end as status,"
             " case when p.id is not null then social.post_document(p) end as body"
             OWN " left join social.post p on p.user_id = o.user_id and p.id = $3" MAY,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_PATH("id") } },

    { "DELETE", "/social/posts/{id:uuid}", PUNIT_OWNED,
      .sql = "with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()"
             " where user_id = $1 and state = 'OWNED' returning ver, epoch),"
             " done as (delete from social.post p using fence where p.user_id = $1 and p.id = $2"
             " returning p.id)"
             " select f.epoch, case when d.id is null then 404 else 204 end as status"
             " from fence f left join done d on true",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },

    { "GET", "/social/feed", PUNIT_OWNED, .stale = true,
      .list = true, .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID },
      .sql = "with page as (select * from social.feed_page($1, $3::int, $4, $5))"
             " select o.epoch, " AGE ", " PUNIT_PAGE("$3::int") OWN MAY,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) } },

    {0}
};

static const punit_service_t service = { .name = "social", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
