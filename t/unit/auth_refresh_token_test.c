/* links: workers/auth/refresh_token.c workers/lib/base/uuid.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "auth/refresh_token.h"

#define USER "0b0e7d6c-63bd-4c5e-9f27-1d4d1f0a2b3c"

static void
a_token_reads_back(void **state)
{
    punit_refresh  a, b;
    char           text[PUNIT_REFRESH_TEXT];

    punit_refresh_new(&a, USER);
    punit_refresh_format(&a, text);
    assert_int_equal(strlen(text), 36 + 1 + 43);
    assert_true(punit_refresh_parse(&b, text, strlen(text)));
    assert_string_equal(b.user, USER);
    assert_memory_equal(a.secret, b.secret, PUNIT_SECRET);
}

static void
the_next_token_keeps_the_family_and_nothing_else(void **state)
{
    punit_refresh  a, b, c;
    unsigned char  fa[PUNIT_SUM], fb[PUNIT_SUM], fc[PUNIT_SUM];
    unsigned char  wa[PUNIT_SUM], wb[PUNIT_SUM], wc[PUNIT_SUM];

    punit_refresh_new(&a, USER);
    punit_refresh_next(&b, &a);
    punit_refresh_new(&c, USER);
    punit_refresh_sums(&a, fa, wa);
    punit_refresh_sums(&b, fb, wb);
    punit_refresh_sums(&c, fc, wc);
    assert_memory_equal(fa, fb, PUNIT_SUM);
    assert_memory_not_equal(wa, wb, PUNIT_SUM);
    assert_memory_not_equal(fa, fc, PUNIT_SUM);
    assert_memory_not_equal(a.secret + PUNIT_FAMILY, b.secret + PUNIT_FAMILY,
                            PUNIT_SECRET - PUNIT_FAMILY);
}

static void
other_spellings_of_a_token_are_none(void **state)
{
    punit_refresh  a, b;
    char           good[PUNIT_REFRESH_TEXT], text[PUNIT_REFRESH_TEXT + 8];
    size_t         len = PUNIT_REFRESH_TEXT - 1;

    punit_refresh_new(&a, USER);
    memset(a.secret, 0, sizeof a.secret);
    punit_refresh_format(&a, good);
    assert_true(punit_refresh_parse(&b, good, len));

    assert_false(punit_refresh_parse(&b, good, len - 1));
    assert_false(punit_refresh_parse(&b, "", 0));
    strcpy(text, good);
    strcat(text, "=");
    assert_false(punit_refresh_parse(&b, text, len + 1));
    strcpy(text, good);
    text[len - 1] = 'B';    /* stray bits in the last character */
    assert_false(punit_refresh_parse(&b, text, len));
    strcpy(text, good);
    text[40] = '+';         /* base64, not base64url */
    assert_false(punit_refresh_parse(&b, text, len));
    strcpy(text, good);
    text[0] = 'G';
    assert_false(punit_refresh_parse(&b, text, len));
    strcpy(text, good);
    text[9] = 'D';          /* upper-case hex */
    assert_false(punit_refresh_parse(&b, text, len));
    strcpy(text, good);
    text[36] = '_';
    assert_false(punit_refresh_parse(&b, text, len));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_reads_back),
        cmocka_unit_test(the_next_token_keeps_the_family_and_nothing_else),
        cmocka_unit_test(other_spellings_of_a_token_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
