/* links: workers/lib/base/email.c workers/lib/base/pepper.c */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/email.h"
#include "lib/base/pepper.h"

#define HMAC_WANTED "33eb9a2ff67c69633f1174be7a9a5b40bb4b48009501db5fec718511775eb067"

static const char *
normal(const char *email, char *out)
{
    return punit_email_normalise(email, strlen(email), out);
}


static void
an_address_is_lower_cased(void **state)
{
    char out[PUNIT_EMAIL_MAX + 1];

    assert_null(normal("Ann.O'Hara+x@Mail.Example.ORG", out));
    assert_string_equal(out, "ann.o'hara+x@mail.example.org");
}


static void
what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "a@",
        "@b.c",
        "a",
        "a@b",
        "a b@c.de",
        "a@b..de",
        ".a@b.de",
        "a.@b.de",
        "a..b@c.de",
        "a@-b.de",
        "a@b-.de",
        "a@b.de.",
        "a@b_c.de",
        "a@@b.de",
        "a\tb@c.de",
        "\"a\"@b.de",
        "a@[127.0.0.1]",
        " a@b.de",
        "a@b.de ",
        "\xc3\xa4@b.de",
        "a@b\xc3\xa4.de",
    };
    char out[PUNIT_EMAIL_MAX + 1];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (normal(bad[i], out) == NULL) {
            fail_msg("taken for an address: \"%s\"", bad[i]);
        }
    }
    assert_non_null(punit_email_normalise("a\0b@c.de", 8, out));
}


static void
lengths_end_at_64_63_and_254(void **state)
{
    char email[400], out[PUNIT_EMAIL_MAX + 1];

    memset(email, 'a', sizeof email);
    memcpy(email + 64, "@b.de", 6);
    assert_null(normal(email, out));
    memcpy(email + 64, "a@b.de", 7);
    assert_non_null(normal(email, out));

    memset(email, 'a', sizeof email);
    memcpy(email, "a@", 2);
    memcpy(email + 2 + 63, ".de", 4);
    assert_null(normal(email, out));
    memcpy(email + 2 + 63, "a.de", 5);
    assert_non_null(normal(email, out));

    memset(email, 'a', sizeof email);
    email[1] = '@';
    for (int i = 2 + 60; i < 254; i += 61) {
        email[i] = '.';
    }
    email[254] = '\0';
    assert_null(normal(email, out));
    assert_int_equal(strlen(out), 254);
    email[254] = 'a';
    email[255] = '\0';
    assert_non_null(normal(email, out));
}


static int
load(punit_pepper_t *pepper, const char *text)
{
    char file[] = "/tmp/pepper-XXXXXX";
    int  fd = mkstemp(file);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int rc = punit_pepper_load(pepper, file);
    int saved = errno;
    unlink(file);
    errno = saved;
    return rc;
}


static void
the_pepper_is_64_hex_digits(void **state)
{
    punit_pepper_t pepper;

    assert_int_equal(load(&pepper,
                          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F\n"),
                     0);
    assert_int_equal(pepper.key[31], 0x1f);
    assert_int_equal(load(&pepper, ""), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(load(&pepper, "0001"), -1);
    assert_int_equal(load(&pepper,
                          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00\n"),
                     -1);
    assert_int_equal(load(&pepper,
                          "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"),
                     -1);
    assert_int_equal(punit_pepper_load(&pepper, "/nonexistent/pepper"), -1);
    assert_int_equal(errno, ENOENT);
}


static void
the_hash_is_hmac_sha256(void **state)
{
    /* RFC 4231 gives no 32-byte key: made with openssl mac, key 0b x 32 */
    punit_pepper_t pepper;
    unsigned char  hash[PUNIT_PEPPER_HASH], want[PUNIT_PEPPER_HASH];
    size_t         n;

    memset(pepper.key, 0x0b, sizeof pepper.key);
    punit_pepper_hash(&pepper, "ann@example.org", hash);
    assert_int_equal(sodium_hex2bin(want, sizeof want, HMAC_WANTED, strlen(HMAC_WANTED), NULL, &n,
                                    NULL),
                     0);
    assert_memory_equal(hash, want, sizeof want);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_lower_cased),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(lengths_end_at_64_63_and_254),
        cmocka_unit_test(the_pepper_is_64_hex_digits),
        cmocka_unit_test(the_hash_is_hmac_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
