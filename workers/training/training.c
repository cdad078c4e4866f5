/* Training: the catalogue of exercises and programmes. All of it is reference data. Anyone reads it
 * at any unit, through the grid. Coaches write a row at the unit that authored it. */
#include "lib/http/reference.h"
#include "lib/http/service.h"

static const char *const levels[] = { "beginner", "intermediate", "expert", NULL };
static const char *const forces[] = { "push", "pull", "static", NULL };
static const char *const mechanics[] = { "compound", "isolation", NULL };


/* Imported catalogues keep the spelling of their slugs, so any visible text without a blank or a
 * slash is a slug. */
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


#define TEXT(low, high) PUNIT_STRING, PUNIT_BOUNDS(low, high), .check = punit_value_check_printable
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

    PUNIT_REFERENCE_ROW("/training/exercises", "training.exercise", "coach", exercise),

    PUNIT_REFERENCE_LIST("/training/programmes", "training.known_programme",
                         "t.id, t.name, t.description, t.level", "t.name"),
    PUNIT_REFERENCE_ROW("/training/programmes", "training.programme", "coach", programme),

    { 0 },
};

static const punit_service_t service = { .name = "training", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
