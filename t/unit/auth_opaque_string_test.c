/* links: workers/auth/password/opaque_string.c workers/lib/base/arena.c workers/lib/base/log.c */
/* links: workers/lib/base/config.c workers/lib/base/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/password/opaque_string.h"


static void
is(const char *text, const char *wanted)
{
    punit_arena_t *arena = punit_arena_create();

    assert_string_equal(opaque_string(arena, text), wanted);
    punit_arena_destroy(arena);
}


static void
ascii_stays_as_it_is(void **state)
{
    (void) state;
    is("Correct  horse!", "Correct  horse!");
    is(" ", " ");
}


static void
composed_and_decomposed_letters_are_one(void **state)
{
    (void) state;
    is("zo\xc3\xab", "zo\xc3\xab");
    is("zoe\xcc\x88", "zo\xc3\xab");
    /* U+1EC7 by its marks in the other order */
    is("e\xcc\x82\xcc\xa3", "\xe1\xbb\x87");
    /* a Hangul syllable of its letters; the Angstrom sign */
    is("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c");
    is("\xe2\x84\xab", "\xc3\x85");
}


/* RFC 8265 4.2.2: no case mapping, no width mapping. */
static void
case_and_width_count(void **state)
{
    (void) state;
    is("\xc3\x89", "\xc3\x89");
    is("\xef\xbc\xa1", "\xef\xbc\xa1");
}


static void
each_space_is_the_ascii_one(void **state)
{
    (void) state;
    is("a\xc2\xa0"
       "b",
       "a b");
    is("a\xe3\x80\x80"
       "b\xe2\x80\x89",
       "a b ");
    /* a tab is not a space */
    is("a\tb", "a\tb");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascii_stays_as_it_is),
        cmocka_unit_test(composed_and_decomposed_letters_are_one),
        cmocka_unit_test(case_and_width_count),
        cmocka_unit_test(each_space_is_the_ascii_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
