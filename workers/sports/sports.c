/* Sports: the kinds of sport and the users' activities. The kinds are reference data, which editors
 * write. The activities are owned. */
#include "lib/http/reference.h"
#include "lib/http/service.h"
#include "lib/pg/ownership.h"

static const punit_member_t sport[] = {
    { "name", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 100),
      .check = punit_value_check_printable },
    { "category", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 50),
      .check = punit_value_check_printable },
    { "met", PUNIT_NUMBER, .required = true, PUNIT_BOUNDS(0.1, 30) },
    { 0 },
};

static const punit_member_t activity[] = {
    { "sport_id", PUNIT_UUID, .required = true },
    { "started_at", PUNIT_TIMESTAMP, .required = true },
    { "duration_s", PUNIT_INTEGER, .nullable = true, PUNIT_BOUNDS(0, 31536000) },
    { "distance_m", PUNIT_NUMBER, .nullable = true, PUNIT_BOUNDS(0, 1e8) },
    { "energy_kcal", PUNIT_NUMBER, .nullable = true, PUNIT_BOUNDS(0, 1e6) },
    { "note", PUNIT_STRING, .nullable = true, PUNIT_BOUNDS(0, 5000) },
    { "programme_id", PUNIT_UUID, .nullable = true },
    { 0 },
};

static const punit_arg_t filters[] = {
    { "sport", .type = PUNIT_UUID },
    { "from", .type = PUNIT_TIMESTAMP },
    { "to", .type = PUNIT_TIMESTAMP },
    { 0 },
};

static const char get_activity[] =
    "select o.epoch, " PUNIT_OWNERSHIP_AGE ","
    " case when a.id is null then 404 else 200 end as status,"
    " case when a.id is not null then sports.activity_document(a) end as body" PUNIT_OWNERSHIP_FROM
    " left join sports.activity a on a.user_id = o.user_id and a.id = $3" PUNIT_OWNERSHIP_READABLE;

/* A member of the merge patch ($3, RFC 7396), or what the row has. */
#define MERGED(column, value) \
    " " column " = case when $3::jsonb ? '" column "' then " value " else a." column " end,"

/* clang-format off */
static const char patch_activity[] =
    PUNIT_OWNERSHIP_FENCE
    ", done as (update sports.activity a set"
        MERGED("sport_id", "sports.good_sport(($3->>'sport_id')::uuid)")
        MERGED("started_at", "sports.good_start(($3->>'started_at')::timestamptz)")
        MERGED("duration_s", "($3->>'duration_s')::int")
        MERGED("distance_m", "($3->>'distance_m')::float8")
        MERGED("energy_kcal", "($3->>'energy_kcal')::float8")
        MERGED("note", "$3->>'note'")
        MERGED("programme_id", "sports.good_programme(($3->>'programme_id')::uuid)")
    " updated_at = now() from fence where a.user_id = $1 and a.id = $2"
    " returning sports.activity_document(a) as document)"
    " select f.epoch, case when d.document is null then 404 else 200 end as status,"
    " d.document as body from fence f left join done d on true";
/* clang-format on */

static const punit_route_t routes[] = {
    PUNIT_REFERENCE_LIST("/sports", "sports.known_sport", "t.id, t.name, t.category, t.met",
                         "t.name collate \"C\""),
    PUNIT_REFERENCE_ROW("/sports", "sports.sport", "editor", sport),

    { "POST", "/activities", PUNIT_OWNED, .idempotent = true, .members = activity,
      .sql = "select * from sports.add_activity($1, $2, $3, $4, $5)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_ROUTE, PUNIT_P_SHA, PUNIT_P_BODY } },

    { "GET", "/activities", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID }, .args = filters,
      .sql = "with page as (select * from sports.activity_page($1, $3, $4, $5, $6::int, $7, $8))"
             " select o.epoch, " PUNIT_OWNERSHIP_AGE ", " PUNIT_PAGE("$6::int")
                 PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_READABLE,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_ARG("sport"), PUNIT_P_ARG("from"),
                PUNIT_P_ARG("to"), PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) } },

    { "GET", "/activities/{id:uuid}", PUNIT_OWNED, .stale = true, .sql = get_activity,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_PATH("id") } },

    { "PATCH", "/activities/{id:uuid}", PUNIT_OWNED, .merge = true, .members = activity,
      .sql = patch_activity, .bind = { PUNIT_P_USER, PUNIT_P_PATH("id"), PUNIT_P_BODY } },

    { "DELETE", "/activities/{id:uuid}", PUNIT_OWNED,
      .sql = PUNIT_OWNERSHIP_FENCE
      ", done as (delete from sports.activity a using fence where a.user_id = $1 and a.id = $2"
      " returning a.id)"
      " select f.epoch, case when d.id is null then 404 else 204 end as status"
      " from fence f left join done d on true",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },

    { 0 },
};

static const punit_service_t service = { .name = "sports", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
