/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ngx_http_punit_base64url.h>


/* exact size, so that ASan sees a byte too many on either side */
static int
decode(const char *src, u_char *dst, size_t *n)
{
    size_t  len = strlen(src);
    u_char *in = malloc(len ? len : 1), *out;
    int     rc;

    memcpy(in, src, len);
    out = malloc(ngx_http_punit_base64url_size(len));
    rc = ngx_http_punit_base64url_decode(out, n, in, len);
    if (rc == NGX_OK && dst) {
        memcpy(dst, out, *n);
    }
    free(in);
    free(out);
    return rc;
}


static void
the_vectors_of_rfc4648_decode_without_their_padding(void **state)
{
    static const char *v[][2] = {
        { "", "" },
        { "Zg", "f" },
        { "Zm8", "fo" },
        { "Zm9v", "foo" },
        { "Zm9vYg", "foob" },
        { "Zm9vYmE", "fooba" },
        { "Zm9vYmFy", "foobar" },
        { "-_-_", "\xfb\xff\xbf" },
    };
    u_char out[64];
    size_t i, n;

    for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        assert_int_equal(decode(v[i][0], out, &n), NGX_OK);
        assert_int_equal(n, strlen(v[i][1]));
        assert_memory_equal(out, v[i][1], n);
    }
}


static void
padding_whitespace_and_the_other_alphabet_are_refused(void **state)
{
    static const char *v[] = { "Zg==",  "Zm8=",     "Zm9v=",  "Zm9v\n",  " Zm9v",
                               "Zm 9v", "Zm9v\r\n", "Zm9v\t", "+/+/",    "Zm+v",
                               "Zm/v",  "Zm?v",     "Zm.v",   "Zm9\x80", "\xff\xff\xff\xff",
                               "=",     "====" };
    size_t             i, n;

    for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        if (decode(v[i], NULL, &n) != NGX_DECLINED) {
            fail_msg("accepted: \"%s\"", v[i]);
        }
    }
}


static void
lengths_that_no_octets_encode_to_are_refused(void **state)
{
    size_t n;

    assert_int_equal(decode("A", NULL, &n), NGX_DECLINED);
    assert_int_equal(decode("AAAAA", NULL, &n), NGX_DECLINED);
    assert_int_equal(decode("AAAAAAAAA", NULL, &n), NGX_DECLINED);
}


static void
every_value_has_exactly_one_spelling(void **state)
{
    static const char al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned          seen[256] = { 0 }, seen2[65536] = { 0 };
    char              s[4] = { 0 };
    u_char            out[3];
    size_t            n;
    int               a, b, c, i;

    for (a = 0; a < 64; a++) {
        for (b = 0; b < 64; b++) {
            s[0] = al[a], s[1] = al[b], s[2] = 0;
            if (decode(s, out, &n) == NGX_OK) {
                assert_int_equal(n, 1);
                seen[out[0]]++;
            }
            for (c = 0; c < 64; c++) {
                s[2] = al[c];
                if (decode(s, out, &n) == NGX_OK) {
                    assert_int_equal(n, 2);
                    seen2[out[0] << 8 | out[1]]++;
                }
            }
        }
    }
    for (i = 0; i < 256; i++) {
        assert_int_equal(seen[i], 1);
    }
    for (i = 0; i < 65536; i++) {
        assert_int_equal(seen2[i], 1);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc4648_decode_without_their_padding),
        cmocka_unit_test(padding_whitespace_and_the_other_alphabet_are_refused),
        cmocka_unit_test(lengths_that_no_octets_encode_to_are_refused),
        cmocka_unit_test(every_value_has_exactly_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
