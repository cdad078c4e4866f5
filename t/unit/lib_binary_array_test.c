/* links: workers/lib/http/binary_array.c workers/lib/http/value.c workers/lib/base/email.c */
/* links: workers/lib/base/uuid.c workers/lib/base/arena.c workers/lib/base/log.c */
/* links: workers/lib/base/config.c workers/lib/base/clock.c */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/http/binary_array.h"


static int
set_up(void **state)
{
    return (*state = punit_arena_create()) == NULL;
}


static int
tear_down(void **state)
{
    punit_arena_destroy(*state);
    return 0;
}


static uint32_t
word(const char *p)
{
    uint32_t n;

    memcpy(&n, p, sizeof(n));
    return be32toh(n);
}


static int64_t
long_word(const char *p)
{
    int64_t n;

    memcpy(&n, p, sizeof(n));
    return (int64_t) be64toh((uint64_t) n);
}


/* The array of a member "v" of objects; its length. */
static const char *
array_of(void **state, const char *text, punit_value_type_t type, int *length)
{
    json_t     *json = json_loads(text, 0, NULL);
    const char *array;

    assert_non_null(json);
    array = punit_binary_array(*state, json, "v", type, length);
    json_decref(json);
    return array;
}


/* Microseconds since 2000 of one time. */
static int64_t
time_of(void **state, const char *time)
{
    char text[100];
    int  length;

    snprintf(text, sizeof(text), "[{\"v\":\"%s\"}]", time);

    return long_word(array_of(state, text, PUNIT_TIMESTAMP, &length) + 24);
}


static void
an_array_is_as_postgresql_sends_it(void **state)
{
    static const char expected[] =
        "\0\0\0\1"
        "\0\0\0\1"
        "\0\0\x0b\x86"
        "\0\0\0\3"
        "\0\0\0\1"
        "\0\0\0\x10"
        "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
        "\xff\xff\xff\xff"
        "\xff\xff\xff\xff";
    int         length = 0;
    const char *array =
        array_of(state, "[{\"v\":\"01234567-89aB-cdef-0123-456789ABCDEF\"},{\"v\":null},{}]",
                 PUNIT_UUID, &length);

    assert_int_equal(length, sizeof(expected) - 1);
    assert_memory_equal(array, expected, sizeof(expected) - 1);
}


static void
nothing_but_nulls_is_null(void **state)
{
    int length = 0;

    assert_null(array_of(state, "[{\"v\":null},{}]", PUNIT_UUID, &length));
    assert_int_equal(length, 0);
}


static void
numbers_are_doubles_and_the_smallest_are_nought(void **state)
{
    int         length = 0;
    const char *array =
        array_of(state, "[{\"v\":1},{\"v\":-0.5},{\"v\":1e-320}]", PUNIT_NUMBER, &length);

    assert_int_equal(word(array + 4), 0);
    assert_int_equal(word(array + 8), 701);
    assert_int_equal(long_word(array + 24), 0x3ff0000000000000);
    assert_int_equal(long_word(array + 36), (int64_t) 0xbfe0000000000000);
    assert_int_equal(long_word(array + 48), 0);
}


static void
times_are_microseconds_since_2000(void **state)
{
    static const struct {
        const char *text;
        int64_t     us;
    } times[] = {
        { "2000-01-01T00:00:00Z", 0 },
        { "2000-01-01T00:00:00.000001Z", 1 },
        { "1999-12-31T23:59:59.5Z", -500000 },
        { "2000-03-01t00:00:00z", 60LL * 86400 * 1000000 },
        { "2000-02-29T23:59:59.9999996Z", 60LL * 86400 * 1000000 },
        { "1970-01-01T00:00:00Z", -10957LL * 86400 * 1000000 },
        { "2026-11-24T15:00:00+02:30", 848838600LL * 1000000 },
        { "2026-11-24T10:00:00-02:30", 848838600LL * 1000000 },
        { "2100-03-01T00:00:00Z", 36584LL * 86400 * 1000000 },
    };

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_int_equal(time_of(state, times[i].text), times[i].us);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_array_is_as_postgresql_sends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_but_nulls_is_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_doubles_and_the_smallest_are_nought, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(times_are_microseconds_since_2000, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
