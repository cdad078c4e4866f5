/* Profile: a user's own description, the export of all data held on the user, and the erasure. */
#include <string.h>
#include <time.h>

#include "lib/http/service.h"
#include "lib/pg/ownership.h"

static const punit_member_t sport = { .type = PUNIT_UUID };


static const char *
check_birth_date(const char *text, size_t len)
{
    char      today[16];
    time_t    now = time(NULL);
    struct tm utc;

    /* In the easternmost time zone it is 14 hours later than in UTC. */
    now += 14 * 3600;
    strftime(today, sizeof(today), "%Y-%m-%d", gmtime_r(&now, &utc));

    return len == 10 && memcmp(text, "1900-01-01", 10) >= 0 && memcmp(text, today, 10) <= 0
               ? NULL
               : "must be from 1900-01-01 to today";
}


static const punit_member_t profile[] = {
    { "name", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 100),
      .check = punit_value_check_printable },
    { "birth_date", PUNIT_DATE, .check = check_birth_date },
    { "height_m", PUNIT_NUMBER, PUNIT_BOUNDS(0.3, 3) },
    { "weight_kg", PUNIT_NUMBER, PUNIT_BOUNDS(1, 700) },
    { "locale", PUNIT_STRING, .check = punit_value_check_locale },
    { "time_zone", PUNIT_STRING, .check = punit_value_check_time_zone },
    { "sports", PUNIT_ARRAY, PUNIT_BOUNDS(0, 100), .item = &sport },
    { 0 },
};

static const char get_profile[] =
    "select o.epoch, case when p.user_id is null then 404 else 200 end as status,"
    " case when p.user_id is not null then profile.document(p) end as body,"
    " " PUNIT_OWNERSHIP_AGE PUNIT_OWNERSHIP_FROM
    " left join profile.profile p on p.user_id = o.user_id" PUNIT_OWNERSHIP_READABLE;

static const char patch_profile[] = PUNIT_OWNERSHIP_FENCE
    ", done as (update profile.profile p"
    " set (name, birth_date, height_m, weight_kg, locale, time_zone, sports) ="
    " (select x.name, x.birth_date, x.height_m, x.weight_kg, x.locale, x.time_zone, x.sports"
    " from profile.patch(p, $2::jsonb) x)"
    " from fence where p.user_id = $1 returning p as after)"
    " select f.epoch, case when d.after is null then 404 else 200 end as status,"
    " case when not d.after is null then profile.document(d.after) end as body"
    " from fence f left join done d on true";

static const punit_route_t routes[] = {
    { "GET", "/profile", PUNIT_OWNED, .stale = true, .sql = get_profile,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE } },
    { "PATCH", "/profile", PUNIT_OWNED, .merge = true, .members = profile, .sql = patch_profile,
      .bind = { PUNIT_P_USER, PUNIT_P_BODY } },
    { "DELETE", "/profile", PUNIT_OWNED, .sql = "select epoch, status from profile.erase($1)",
      .bind = { PUNIT_P_USER } },
    { "GET", "/profile/export", PUNIT_OWNED,
      .sql = "select o.epoch, x.body, x.etag" PUNIT_OWNERSHIP_FROM
             " cross join lateral punit.export_answer($1) x" PUNIT_OWNERSHIP_OWNED,
      .bind = { PUNIT_P_USER } },
    { 0 },
};

static const punit_service_t service = { .name = "profile", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
