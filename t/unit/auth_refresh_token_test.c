/* links: workers/auth/token/refresh_token.c workers/lib/base/uuid.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/token/refresh_token.h"

#define USER "0b0e7d6c-63bd-4c5e-9f27-1d4d1f0a2b3c"

static void
a_token_reads_back(void **state)
{
    refresh_token_t a, b;
    char            text[REFRESH_TOKEN_SIZE];

    refresh_token_new(&a, USER);
    refresh_token_format(&a, text);
    assert_int_equal(strlen(text), 36 + 1 + 43);
    assert_true(refresh_token_parse(&b, text, strlen(text)));
    assert_string_equal(b.user, USER);
    assert_memory_equal(a.secret, b.secret, REFRESH_TOKEN_SECRET);
}


static void
the_next_token_keeps_the_family_and_nothing_else(void **state)
{
    refresh_token_t a, b, c;
    unsigned char   fa[REFRESH_TOKEN_SUM], fb[REFRESH_TOKEN_SUM], fc[REFRESH_TOKEN_SUM];
    unsigned char   wa[REFRESH_TOKEN_SUM], wb[REFRESH_TOKEN_SUM], wc[REFRESH_TOKEN_SUM];

    refresh_token_new(&a, USER);
    refresh_token_next(&b, &a);
    refresh_token_new(&c, USER);
    refresh_token_sums(&a, fa, wa);
    refresh_token_sums(&b, fb, wb);
    refresh_token_sums(&c, fc, wc);
    assert_memory_equal(fa, fb, REFRESH_TOKEN_SUM);
    assert_memory_not_equal(wa, wb, REFRESH_TOKEN_SUM);
    assert_memory_not_equal(fa, fc, REFRESH_TOKEN_SUM);
    assert_memory_not_equal(a.secret + REFRESH_TOKEN_FAMILY, b.secret + REFRESH_TOKEN_FAMILY,
                            REFRESH_TOKEN_SECRET - REFRESH_TOKEN_FAMILY);
}


static void
other_spellings_of_a_token_are_none(void **state)
{
    refresh_token_t a, b;
    char            good[REFRESH_TOKEN_SIZE], text[REFRESH_TOKEN_SIZE + 8];
    size_t          len = REFRESH_TOKEN_SIZE - 1;

    refresh_token_new(&a, USER);
    memset(a.secret, 0, sizeof(a.secret));
    refresh_token_format(&a, good);
    assert_true(refresh_token_parse(&b, good, len));

    assert_false(refresh_token_parse(&b, good, len - 1));
    assert_false(refresh_token_parse(&b, "", 0));
    strcpy(text, good);
    strcat(text, "=");
    assert_false(refresh_token_parse(&b, text, len + 1));
    strcpy(text, good);
    text[len - 1] = 'B'; /* stray bits in the last character */
    assert_false(refresh_token_parse(&b, text, len));
    strcpy(text, good);
    text[40] = '+'; /* base64, not base64url */
    assert_false(refresh_token_parse(&b, text, len));
    strcpy(text, good);
    text[0] = 'G';
    assert_false(refresh_token_parse(&b, text, len));
    strcpy(text, good);
    text[9] = 'D'; /* upper-case hex */
    assert_false(refresh_token_parse(&b, text, len));
    strcpy(text, good);
    text[36] = '_';
    assert_false(refresh_token_parse(&b, text, len));
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
