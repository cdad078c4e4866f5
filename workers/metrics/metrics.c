/* Metrics: the types of measurement and the users' samples. The types are reference data, which
 * editors write. The samples are owned, and a request writes up to 10,000 of them. */
#include "lib/http/reference.h"
#include "lib/http/service.h"
#include "lib/pg/ownership.h"


/* A case-sensitive UCUM code: printable ASCII without blanks (The Unified Code for Units of
 * Measure, section 2). */
static const char *
check_ucum(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '!' || text[i] > '~') {
            return "must be a UCUM code, like kg, /min or mm[Hg]";
        }
    }

    return NULL;
}


static const punit_member_t type[] = {
    { "name", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 100),
      .check = punit_value_check_printable },
    { "unit", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 32), .check = check_ucum },
    { "min", PUNIT_NUMBER, .nullable = true },
    { "max", PUNIT_NUMBER, .nullable = true },
    { 0 },
};

static const punit_member_t sample[] = {
    { "type_id", PUNIT_UUID, .required = true },
    { "at", PUNIT_TIMESTAMP, .required = true },
    { "value", PUNIT_NUMBER, .required = true },
    { "activity_id", PUNIT_UUID, .nullable = true },
    { 0 },
};

static const punit_member_t samples[] = {
    { .type = PUNIT_ARRAY,
      PUNIT_BOUNDS(1, 10000),
      .item = &(const punit_member_t){ .type = PUNIT_OBJECT, .members = sample } },
    { 0 },
};

static const punit_arg_t filters[] = {
    { "type", .type = PUNIT_UUID },
    { "from", .type = PUNIT_TIMESTAMP },
    { "to", .type = PUNIT_TIMESTAMP },
    { 0 },
};

static const punit_arg_t summary[] = {
    { "type", PUNIT_UUID, .required = true },
    { "bucket", PUNIT_STRING, .required = true,
      .values = (const char *const[]){ "hour", "day", "week", "month", NULL } },
    { "from", .type = PUNIT_TIMESTAMP },
    { "to", .type = PUNIT_TIMESTAMP },
    { 0 },
};

static const punit_route_t routes[] = {
    PUNIT_REFERENCE_LIST("/metrics/types", "metrics.known_type",
                         "t.id, t.name, t.unit, t.min, t.max", "t.name collate \"C\""),
    PUNIT_REFERENCE_ROW("/metrics/types", "metrics.type", "editor", type),

    /* 10000 samples with all members, written without blanks, have up to 1.8 MB. */
    { "POST", "/metrics/samples", PUNIT_OWNED, .idempotent = true, .members = samples,
      .body_max = PUNIT_BODY_MOST,
      .sql = "select * from metrics.store_samples($1, $2, $3, $4, $5, $6, $7, $8)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_ROUTE, PUNIT_P_SHA,
                PUNIT_P_ARRAY("type_id", PUNIT_UUID), PUNIT_P_ARRAY("at", PUNIT_TIMESTAMP),
                PUNIT_P_ARRAY("value", PUNIT_NUMBER), PUNIT_P_ARRAY("activity_id", PUNIT_UUID) } },

    { "GET", "/metrics/samples", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_UUID, PUNIT_TIMESTAMP }, .args = filters,
      .sql = "with page as (select * from metrics.sample_page($1, $3, $4, $5, $6::int, $7, $8))"
             " select o.epoch, " PUNIT_OWNERSHIP_AGE ", " PUNIT_PAGE("$6::int")
                 PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_READABLE,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_ARG("type"), PUNIT_P_ARG("from"),
                PUNIT_P_ARG("to"), PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) } },

    { "GET", "/metrics/summary", PUNIT_OWNED, .stale = true, .list = true,
      .cursor = { PUNIT_TIMESTAMP }, .args = summary,
      .sql = "with page as (select * from metrics.summary_page($1, $3, $4, $5, $6, $7::int, $8))"
             " select o.epoch, " PUNIT_OWNERSHIP_AGE ", " PUNIT_PAGE("$7::int")
                 PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_READABLE,
      .bind = { PUNIT_P_USER, PUNIT_P_STALE, PUNIT_P_ARG("type"), PUNIT_P_ARG("bucket"),
                PUNIT_P_ARG("from"), PUNIT_P_ARG("to"), PUNIT_P_LIMIT, PUNIT_P_CURSOR(0) } },

    { 0 },
};

static const punit_service_t service = { .name = "metrics", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
