/* Training: the catalogue of exercises and programmes. All of it is reference data: read by anyone
 * at any unit through the grid, written by coaches at the unit that is the row's author. */
#include "lib/http/service.h"

static const char *const levels[] = { "beginner", "intermediate", "expert", NULL };
static const char *const forces[] = { "push", "pull", "static", NULL };
static const char *const mechanics[] = { "compound", "isolation", NULL };


/* Slugs of imported catalogues keep their spelling, so any visible text without blank and slash is
 * one. */
static const char *
check_slug(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char) text[i] <= ' ' || text[i] == '/' || text[i] == 0x7f) {
            return "must be without blanks and slashes";
        }
    }

    return NULL;
}


#define TEXT(low, high) PUNIT_STRING, PUNIT_BOUNDS(low, high), .check = punit_type_check_printable
#define TEXTS(n, high)                                               \
    PUNIT_ARRAY, PUNIT_BOUNDS(0, n), .item = &(const punit_member_t) \
    {                                                                \
        .type = TEXT(1, high)                                        \
    }

static const punit_member_t exercise[] = {
    { "name", TEXT(1, 200), .required = true },
    { "slug", PUNIT_STRING, PUNIT_BOUNDS(1, 100), .check = check_slug },
    { "force", PUNIT_STRING, .nullable = true, .values = forces },
    { "level", PUNIT_STRING, .required = true, .values = levels },
    { "mechanic", PUNIT_STRING, .nullable = true, .values = mechanics },
    { "equipment", TEXT(1, 50), .nullable = true },
    { "category", TEXT(1, 50), .required = true },
    { "primary_muscles", TEXTS(20, 50) },
    { "secondary_muscles", TEXTS(20, 50) },
    { "instructions", TEXTS(50, 2000) },
    { "images", TEXTS(20, 300) },
    { 0 },
};

static const punit_member_t step[] = {
    { "exercise_id", PUNIT_UUID, .required = true },
    { "sets", PUNIT_INTEGER, .required = true, PUNIT_BOUNDS(1, 100) },
    { "repetitions", PUNIT_INTEGER, .required = true, PUNIT_BOUNDS(1, 10000) },
    { "rest_s", PUNIT_INTEGER, PUNIT_BOUNDS(0, 86400) },
    { 0 },
};

static const punit_member_t programme[] = {
    { "name", TEXT(1, 200), .required = true },
    { "description", PUNIT_STRING, .nullable = true, PUNIT_BOUNDS(0, 5000) },
    { "level", PUNIT_STRING, .nullable = true, .values = levels },
    { "exercises", PUNIT_ARRAY, .required = true, PUNIT_BOUNDS(1, 200),
      .item = &(const punit_member_t){ .type = PUNIT_OBJECT, .members = step } },
    { 0 },
};

static const punit_arg_t filters[] = {
    { "level", PUNIT_STRING, .values = levels },
    { "category", PUNIT_STRING, PUNIT_BOUNDS(1, 50) },
    { "muscle", PUNIT_STRING, PUNIT_BOUNDS(1, 50) },
    { "equipment", PUNIT_STRING, PUNIT_BOUNDS(1, 50) },
    { "q", PUNIT_STRING, PUNIT_BOUNDS(1, 100) },
    { 0 },
};

static const punit_route_t routes[] = {
    { "GET", "/training/exercises", PUNIT_REFERENCE, .list = true,
      .cursor = { PUNIT_STRING, PUNIT_UUID }, .args = filters,
      .sql =
          "with page as (select * from training.exercise_page($1, $2, $3, $4, $5, $6::int, $7, $8))"
          " select " PUNIT_PAGE("$6::int"),
      .bind = { PUNIT_P_ARG("level"), PUNIT_P_ARG("category"), PUNIT_P_ARG("muscle"),
                PUNIT_P_ARG("equipment"), PUNIT_P_ARG("q"), PUNIT_P_LIMIT, PUNIT_P_CURSOR(0),
                PUNIT_P_CURSOR(1) } },

    { "GET", "/training/exercises/{id:uuid}", PUNIT_REFERENCE,
      .sql = "select training.exercise_document(e) as body from training.exercise e"
             " where e.id = $1 order by e.origin_unit limit 1",
      .bind = { PUNIT_P_PATH("id") } },

    { "POST", "/training/exercises", PUNIT_REFERENCE, .role = "coach", .idempotent = true,
      .members = exercise, .sql = "select * from training.exercise_create($1, $2, $3, $4)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_SHA, PUNIT_P_BODY } },

    { "PUT", "/training/exercises/{id:uuid}", PUNIT_REFERENCE, .role = "coach", .members = exercise,
      .sql = "select * from training.exercise_replace($1, $2)",
      .bind = { PUNIT_P_PATH("id"), PUNIT_P_BODY } },

    { "DELETE", "/training/exercises/{id:uuid}", PUNIT_REFERENCE, .role = "coach",
      .sql = "select * from training.exercise_retire($1)", .bind = { PUNIT_P_PATH("id") } },

    { "GET", "/training/programmes", PUNIT_REFERENCE, .list = true,
      .cursor = { PUNIT_STRING, PUNIT_UUID },
      .sql =
          "with page as ("
          "select row_number() over (order by p.name, p.id) as n,"
          "       (select row_to_json(i) from (select p.id, p.name, p.description, p.level) i) as item,"
          "       json_build_array(p.name, p.id) as key"
          "  from training.known_programme p"
          " where p.retired_at is null and ($3::uuid is null or (p.name, p.id) > ($2, $3))"
          " order by p.name, p.id limit $1::int + 1)"
          " select " PUNIT_PAGE("$1::int"),
      .bind = { PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) } },

    { "GET", "/training/programmes/{id:uuid}", PUNIT_REFERENCE,
      .sql = "select training.programme_document(p) as body from training.programme p"
             " where p.id = $1 order by p.origin_unit limit 1",
      .bind = { PUNIT_P_PATH("id") } },

    { "POST", "/training/programmes", PUNIT_REFERENCE, .role = "coach", .idempotent = true,
      .members = programme, .sql = "select * from training.programme_create($1, $2, $3, $4)",
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_SHA, PUNIT_P_BODY } },

    { "PUT", "/training/programmes/{id:uuid}", PUNIT_REFERENCE, .role = "coach",
      .members = programme, .sql = "select * from training.programme_replace($1, $2)",
      .bind = { PUNIT_P_PATH("id"), PUNIT_P_BODY } },

    { "DELETE", "/training/programmes/{id:uuid}", PUNIT_REFERENCE, .role = "coach",
      .sql = "select * from training.programme_retire($1)", .bind = { PUNIT_P_PATH("id") } },

    { 0 },
};

static const punit_service_t service = { .name = "training", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
