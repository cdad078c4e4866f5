/* links: workers/lib/http/body.c workers/lib/http/member.c workers/lib/http/value_rule.c */
/* links: workers/lib/http/problem.c */
/* links: workers/lib/http/cursor.c workers/lib/http/query.c workers/lib/http/value.c */
/* links: workers/lib/base/email.c workers/lib/base/uuid.c workers/lib/base/arena.c */
/* links: workers/lib/base/log.c workers/lib/base/config.c workers/lib/base/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/http/body.h"
#include "lib/http/cursor.h"
#include "lib/http/member.h"
#include "lib/http/query.h"

static punit_arena_t *arena;

static const char *const colours[] = { "red", "green", NULL };

static const punit_member_t part[] = { { "id", PUNIT_UUID, .required = true },
                                       { "n", PUNIT_INTEGER, PUNIT_BOUNDS(1, 3) },
                                       { 0 } };

static const punit_member_t members[] = {
    { "name", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 3) },
    { "colour", PUNIT_STRING, .values = colours },
    { "weight", PUNIT_NUMBER, .nullable = true, PUNIT_BOUNDS(-1, 0) },
    { "parts", PUNIT_ARRAY, PUNIT_BOUNDS(1, 2),
      .item = &(const punit_member_t){ .type = PUNIT_OBJECT, .members = part } },
    { "inner", PUNIT_OBJECT, .members = part },
    { .name = "any", .type = PUNIT_OBJECT },
    { 0 }
};

static const punit_member_t root_array[] = { { .type = PUNIT_ARRAY,
                                               PUNIT_BOUNDS(1, 2),
                                               .item = &(
                                                   const punit_member_t){ .type = PUNIT_INTEGER } },
                                             { 0 } };


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


static punit_problem_t *
check(const char *text, const punit_member_t *table, bool merge)
{
    json_t          *json;
    punit_problem_t *problem = punit_body_parse(arena, text, strlen(text), &json);

    return problem != NULL ? problem : punit_member_check(arena, json, table, merge);
}


static void
good(const char *text)
{
    punit_problem_t *problem = check(text, members, false);

    if (problem != NULL) {
        fail_msg("%s: %s", text, problem->errors);
    }
}


static void
bad(const char *text, const char *errors)
{
    punit_problem_t *problem = check(text, members, false);

    assert_non_null(problem);
    assert_ptr_equal(problem->kind, &punit_problem_invalid);
    assert_string_equal(problem->errors, errors);
}


static void
members_are_checked(void **state)
{
    (void) state;
    good("{\"name\":\"a\"}");
    good("{\"name\":\"\\ud83d\\udeb2\\ud83d\\udeb2\\ud83d\\udeb2\","
         "\"colour\":\"red\",\"weight\":-0.5}");
    good("{\"name\":\"a\",\"weight\":null,\"any\":{\"x\":[1]}}");
    bad("{}", "[{\"pointer\":\"/name\",\"detail\":\"is missing\"}]");
    bad("{\"name\":null}", "[{\"pointer\":\"/name\",\"detail\":\"must not be null\"}]");
    bad("{\"name\":1}", "[{\"pointer\":\"/name\",\"detail\":\"must be a string\"}]");
    bad("{\"name\":\"abcd\"}",
        "[{\"pointer\":\"/name\",\"detail\":\"must have from 1 to 3 characters\"}]");
    bad("{\"name\":\"a\",\"colour\":\"blue\"}",
        "[{\"pointer\":\"/colour\",\"detail\":\"must be one of red, green\"}]");
    bad("{\"name\":\"a\",\"weight\":1}",
        "[{\"pointer\":\"/weight\",\"detail\":\"must be from -1 to 0\"}]");
    bad("{\"name\":\"a\",\"x\":1}", "[{\"pointer\":\"/x\",\"detail\":\"is not known here\"}]");
    bad("[]", "[{\"pointer\":\"\",\"detail\":\"must be an object\"}]");
}


static void
nested_members_are_named_by_their_path(void **state)
{
    (void) state;
    good("{\"name\":\"a\",\"parts\":[{\"id\":\"0b6f2f0e-0000-4000-8000-00000000000a\",\"n\":3}]}");
    bad("{\"name\":\"a\",\"parts\":[]}",
        "[{\"pointer\":\"/parts\",\"detail\":\"must have from 1 to 2 items\"}]");
    bad("{\"name\":\"a\",\"parts\":[{\"id\":\"x\",\"n\":1.0}]}",
        "[{\"pointer\":\"/parts/0/id\",\"detail\":\"must be a uuid\"},"
        "{\"pointer\":\"/parts/0/n\",\"detail\":\"must be a whole number\"}]");
    bad("{\"name\":\"a\",\"parts\":[1]}",
        "[{\"pointer\":\"/parts/0\",\"detail\":\"must be an object\"}]");
    bad("{\"name\":\"a\",\"inner\":{\"y\":1}}",
        "[{\"pointer\":\"/inner/id\",\"detail\":\"is missing\"},"
        "{\"pointer\":\"/inner/y\",\"detail\":\"is not known here\"}]");
}


static void
a_flood_of_faults_is_cut(void **state)
{
    char text[4096] = "{\"name\":\"a\"";

    (void) state;

    for (int i = 0; i < 100; i++) {
        sprintf(text + strlen(text), ",\"x%d\":1", i);
    }

    strcat(text, "}");

    punit_problem_t *problem = check(text, members, false);
    json_t          *errors = json_loads(problem->errors, 0, NULL);

    assert_int_equal(json_array_size(errors), 20);
    json_decref(errors);
}


static void
a_merge_patch_may_leave_out_and_remove(void **state)
{
    (void) state;
    assert_null(check("{}", members, true));
    assert_null(check("{\"colour\":null,\"parts\":null}", members, true));
    assert_non_null(check("{\"name\":null}", members, true));
    assert_non_null(check("{\"x\":null}", members, true));
}


static void
a_root_may_be_an_array(void **state)
{
    (void) state;
    assert_null(check("[1,2]", root_array, false));
    assert_string_equal(check("[1,\"2\"]", root_array, false)->errors,
                        "[{\"pointer\":\"/1\",\"detail\":\"must be a whole number\"}]");
    assert_non_null(check("[1,2,3]", root_array, false));
    assert_non_null(check("{}", root_array, false));
}


static void
what_is_no_json_is_malformed(void **state)
{
    static const char *const texts[] = { "",
                                         " ",
                                         "{",
                                         "{\"a\":1,}",
                                         "[1] 2",
                                         "'a'",
                                         "nul",
                                         "\"\xff\"",
                                         "\"\xed\xa0\x80\"",
                                         "01",
                                         "+1",
                                         "{\"a\":1,\"a\":",
                                         "{1e400:1}",
                                         "[1e400,]",
                                         "[1e400 01]",
                                         "[1e+400e]",
                                         "[123456789012345678901e]",
                                         "[1e400,\"\\x\"]",
                                         "[1e400.5]",
                                         "[1e400-1]" };

    (void) state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_ptr_equal(check(texts[i], members, false)->kind, &punit_problem_malformed);
    }
}


static void
json_that_cannot_be_kept_is_invalid(void **state)
{
    (void) state;
    bad("{\"name\":\"a\",\"name\":\"b\"}",
        "[{\"pointer\":\"\",\"detail\":\"a member is there twice\"}]");
    bad("{\"name\":\"\\u0000\"}", "[{\"pointer\":\"/name\",\"detail\":\"must not hold U+0000\"}]");
    bad("{\"\\u0000\":1}", "[{\"pointer\":\"\",\"detail\":\"a member's name holds U+0000\"}]");
    bad("{\"weight\":1e400}", "[{\"pointer\":\"\",\"detail\":\"a number is out of range\"}]");
    bad("[123456789012345678901,-1E+999,\"\\\\\",\"1e\\\"\"]",
        "[{\"pointer\":\"\",\"detail\":\"a number is out of range\"}]");
    bad("{\"name\":\"a\",\"any\":{\"x\":[{\"y\":\"\\u0000\"}]}}",
        "[{\"pointer\":\"/any\",\"detail\":\"must not hold U+0000\"}]");
}


/* Each spelling has the answer of the first one: 10 to the power e, as 1eE, with a plus, with zeros
 * behind a point, with a point inside, and in full. */
static void
a_number_is_answered_by_its_value_and_not_by_its_spelling(void **state)
{
    static const char sign[][2] = { "", "-" };

    (void) state;

    for (int e = 0; e <= 300; e++) {
        for (int s = 0; s < 2; s++) {
            char full[320], texts[5][400];

            memset(full, '0', sizeof(full));
            full[0] = '1';
            full[e + 1] = '\0';
            snprintf(texts[0], sizeof(texts[0]), "{\"name\":\"a\",\"weight\":%s1e%d}", sign[s], e);
            snprintf(texts[1], sizeof(texts[1]), "{\"name\":\"a\",\"weight\":%s1E+%d}", sign[s], e);
            snprintf(texts[2], sizeof(texts[2]), "{\"name\":\"a\",\"weight\":%s%s}", sign[s], full);
            snprintf(texts[3], sizeof(texts[3]), "{\"name\":\"a\",\"weight\":%s%s.0}", sign[s],
                     full);
            snprintf(texts[4], sizeof(texts[4]), "{\"weight\":%s10.0e%d,\"name\":\"a\"}", sign[s],
                     e - 1);

            const punit_problem_t *first = check(texts[0], members, false);

            for (int i = 1; i < 5; i++) {
                const punit_problem_t *other = check(texts[i], members, false);

                if ((first == NULL) != (other == NULL)
                    || (first != NULL && strcmp(first->errors, other->errors) != 0))
                {
                    fail_msg("%s: %s", texts[i], other != NULL ? other->errors : "good");
                }
            }
        }
    }

    const char text[] = "[18446744073709552000,\"\\\"12345678901234567890\"]";
    json_t    *json;

    assert_null(punit_body_parse(arena, text, strlen(text), &json));
    assert_true(json_real_value(json_array_get(json, 0)) == 18446744073709552000.0);
    assert_string_equal(json_string_value(json_array_get(json, 1)), "\"12345678901234567890");
}


static void
members_become_parameters(void **state)
{
    json_t     *json;
    const char *text =
        "{\"s\":\"x\",\"i\":-5,\"r\":0.1,\"t\":true,\"n\":null,\"a\":[1, 2],\"big\":1e300}";

    (void) state;
    assert_null(punit_body_parse(arena, text, strlen(text), &json));
    assert_string_equal(punit_body_text(arena, json, "s"), "x");
    assert_string_equal(punit_body_text(arena, json, "i"), "-5");
    assert_string_equal(punit_body_text(arena, json, "r"), "0.1");
    assert_string_equal(punit_body_text(arena, json, "t"), "true");
    assert_string_equal(punit_body_text(arena, json, "a"), "[1,2]");
    assert_string_equal(punit_body_text(arena, json, "big"), "1e+300");
    assert_null(punit_body_text(arena, json, "n"));
    assert_null(punit_body_text(arena, json, "absent"));
}


static void
a_cursor_comes_back_as_it_was(void **state)
{
    static const punit_value_type_t types[] = { PUNIT_TIMESTAMP, PUNIT_STRING, PUNIT_INTEGER,
                                                PUNIT_NONE };
    const char                     *values[PUNIT_CURSOR_MAX];
    const char *key = "[\"2024-02-29T00:00:00.123456+00:00\", \"b\xc3\xa4?>\", 7]";
    const char *cursor = punit_cursor_encode(arena, key);

    (void) state;
    assert_int_equal(strspn(cursor,
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
                     strlen(cursor));
    assert_null(punit_cursor_decode(arena, cursor, types, values));
    assert_string_equal(values[0], "2024-02-29T00:00:00.123456+00:00");
    assert_string_equal(values[1], "b\xc3\xa4?>");
    assert_string_equal(values[2], "7");
}


static void
a_cursor_of_another_list_is_refused(void **state)
{
    static const punit_value_type_t types[] = { PUNIT_UUID, PUNIT_NONE };
    static const char *const        keys[] = {
               "[]",        "[1]", "[null]", "[\"x\"]",
               "{}",        "1",   "[",      "[\"0b6f2f0e-0000-4000-8000-00000000000a\",1]",
               "[[\"a\"]]",
    };
    static const char *const texts[] = { "", "!", "W10", "W10=", "W1", "W10 " };
    const char              *values[PUNIT_CURSOR_MAX];

    (void) state;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_ptr_equal(
            punit_cursor_decode(arena, punit_cursor_encode(arena, keys[i]), types, values)->kind,
            &punit_problem_invalid_query);
    }

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_non_null(punit_cursor_decode(arena, texts[i], types, values));
    }
}


static void
query_arguments_are_checked(void **state)
{
    static const punit_arg_t args[] = { { .name = "q", .type = PUNIT_STRING },
                                        { "n", PUNIT_INTEGER, PUNIT_BOUNDS(1, 5), .fallback = "2" },
                                        { "c", PUNIT_STRING, .values = colours },
                                        { "must", PUNIT_BOOLEAN, .required = true },
                                        { 0 } };
    static const char *const bad_texts[] = { "",
                                             "must=x",
                                             "must=true&must=true",
                                             "must=true&n=6",
                                             "must=true&n=",
                                             "must=true&n=1%",
                                             "must=true&q=%ff",
                                             "must=true&q=%00",
                                             "must=true&c=blue",
                                             "must=true&q=%4" };
    punit_query_t           *query;

    (void) state;
    assert_null(punit_query_parse(arena, "q=a+b%2B%c3%A4&must=true&&x=%zz&=1&y", args, &query));
    assert_string_equal(punit_query_get(query, "q"), "a b+\xc3\xa4");
    assert_string_equal(punit_query_get(query, "n"), "2");
    assert_null(punit_query_get(query, "c"));
    assert_null(punit_query_get(query, "x"));
    assert_null(punit_query_parse(arena, "%71=&must=false&n=5", args, &query));
    assert_string_equal(punit_query_get(query, "q"), "");

    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++) {
        assert_ptr_equal(punit_query_parse(arena, bad_texts[i], args, &query)->kind,
                         &punit_problem_invalid_query);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nested_members_are_named_by_their_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_faults_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_merge_patch_may_leave_out_and_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_root_may_be_an_array, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_that_cannot_be_kept_is_invalid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_is_answered_by_its_value_and_not_by_its_spelling,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_become_parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_of_another_list_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(query_arguments_are_checked, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
