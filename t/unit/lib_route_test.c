/* links: workers/lib/http/route.c workers/lib/http/path.c workers/lib/http/request.c */
/* links: workers/lib/http/query.c workers/lib/http/value_rule.c workers/lib/http/body.c */
/* links: workers/lib/http/cursor.c workers/lib/http/problem.c workers/lib/http/owned.c */
/* links: workers/lib/http/sql.c workers/lib/http/binary_array.c workers/lib/http/value.c */
/* links: workers/lib/base/email.c workers/lib/base/uuid.c workers/lib/pg/rows.c */
/* links: workers/lib/pg/statement.c workers/lib/pg/pool.c workers/lib/pg/schema.c */
/* links: workers/lib/pg/connection.c workers/lib/pg/wire.c workers/lib/grid/grid.c */
/* links: workers/lib/base/backoff.c workers/lib/base/arena.c workers/lib/base/log.c */
/* links: workers/lib/base/config.c workers/lib/base/clock.c workers/lib/http/member.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/http/path.h"
#include "lib/http/route.h"

static const char    *values[8];
static punit_arena_t *arena;

static const punit_route_t routes[] = {
    { .method = "GET", .path = "/a", .class = PUNIT_OWNED },
    { .method = "POST", .path = "/a", .class = PUNIT_OWNED },
    { .method = "GET", .path = "/a/{id:uuid}", .class = PUNIT_OWNED },
    { .method = "PUT", .path = "/a/{id:uuid}/b/{n:integer}", .class = PUNIT_OWNED },
    { .method = "GET", .path = "/name/{x}", .class = PUNIT_OWNED },
    { .method = "GET", .path = "/punit/introspect", .class = PUNIT_INTERNAL },
    { 0 }
};

#define UUID "0b6f2f0e-0000-4000-8000-00000000000a"


static int
set_up(void **state)
{
    (void) state;
    arena = punit_arena_create();
    return arena == NULL;
}


static int
tear_down(void **state)
{
    (void) state;
    punit_arena_destroy(arena);
    return 0;
}


static const punit_route_t *
find(const char *method, const char *path, const char **allow)
{
    memset(values, 0, sizeof(values));
    return punit_route_find(arena, routes, method, path, values, allow);
}


static void
finds_a_row_by_method_and_path(void **state)
{
    const char *allow;

    (void) state;
    assert_ptr_equal(find("GET", "/a", &allow), &routes[0]);
    assert_ptr_equal(find("POST", "/a", &allow), &routes[1]);
    assert_ptr_equal(find("HEAD", "/a", &allow), &routes[0]);
    assert_ptr_equal(find("GET", "/a/" UUID, &allow), &routes[2]);
    assert_string_equal(values[0], UUID);
}


static void
gives_placeholders_in_order(void **state)
{
    const char *allow;

    (void) state;
    assert_ptr_equal(find("PUT", "/a/" UUID "/b/-12", &allow), &routes[3]);
    assert_string_equal(values[0], UUID);
    assert_string_equal(values[1], "-12");
    assert_int_equal(punit_path_placeholder(routes[3].path, "id"), 0);
    assert_int_equal(punit_path_placeholder(routes[3].path, "n"), 1);
    assert_int_equal(punit_path_placeholder(routes[3].path, "i"), -1);
    assert_int_equal(punit_path_placeholder(routes[4].path, "x"), 0);
}


static void
says_which_methods_a_path_has(void **state)
{
    const char *allow;

    (void) state;
    assert_null(find("DELETE", "/a", &allow));
    assert_string_equal(allow, "GET, HEAD, POST");
    assert_null(find("get", "/a", &allow));
    assert_non_null(allow);
}


static void
knows_no_other_path(void **state)
{
    static const char *const paths[] = {
        "",
        "/",
        "a",
        "//a",
        "/a/",
        "/a//",
        "/ab",
        "/A",
        "/a/x",
        "/a/" UUID "/",
        "/a/" UUID "/b",
        "/a/" UUID "/b/1.5",
        "/a/" UUID "/b/",
        "/a/0" UUID,
        "/name/",
        "/name",
        "/name/\xff",
        "/name/a/b",
    };
    const char *allow;

    (void) state;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_null(find("GET", paths[i], &allow));
        assert_null(allow);
    }
}


static void
takes_any_method_at_an_internal_location(void **state)
{
    const char *allow;

    (void) state;
    assert_ptr_equal(find("PATCH", "/punit/introspect", &allow), &routes[5]);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_a_row_by_method_and_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_placeholders_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_which_methods_a_path_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_no_other_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_any_method_at_an_internal_location, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
