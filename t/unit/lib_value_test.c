/* links: workers/lib/http/value.c workers/lib/base/email.c workers/lib/base/uuid.c */
/* links: workers/lib/base/config.c workers/lib/base/log.c workers/lib/base/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/config.h"
#include "lib/http/value.h"

typedef struct {
    punit_value_type_t type;
    const char *const *good;
    const char *const *bad;
} case_t;

#define TEXTS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static const case_t cases[] = {
    { PUNIT_INTEGER, TEXTS("0", "-1", "9223372036854775807", "-9223372036854775808", "-0"),
      TEXTS("", "-", "+1", "01", "1.0", "1e3", " 1", "1 ", "9223372036854775808", "0x1") },
    { PUNIT_NUMBER, TEXTS("0", "-0.5", "1e3", "1E-3", "1.25e+10", "12"),
      TEXTS("", ".5", "1.", "01", "+1", "1e", "1e999", "NaN", "Infinity", "0x1p3", "1,5") },
    { PUNIT_BOOLEAN, TEXTS("true", "false"), TEXTS("", "True", "1", "yes", "truex") },
    { PUNIT_UUID,
      TEXTS("0b6f2f0e-0000-4000-8000-00000000000a", "0B6F2F0E-0000-4000-8000-00000000000A"),
      TEXTS("", "0b6f2f0e00004000800000000000000a", "{0b6f2f0e-0000-4000-8000-00000000000}",
            "0b6f2f0e-0000-4000-8000-00000000000g", "0b6f2f0e-0000-4000-8000-00000000000a0") },
    { PUNIT_DATE, TEXTS("2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"),
      TEXTS("", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-01-32", "2024-01-00",
            "0000-01-01", "2024-1-1", "24-01-01", "2024/01/01", "2024-01-01 ",
            "2024-01-01T00:00:00Z") },
    { PUNIT_TIMESTAMP,
      TEXTS("2024-02-29T23:59:59Z", "2024-02-29t00:00:00z", "2024-02-29T00:00:00.123456789+05:30",
            "2024-02-29T00:00:00.1-14:00"),
      TEXTS("", "2024-02-29", "2024-02-29 00:00:00Z", "2024-02-29T00:00:00", "2024-02-29T24:00:00Z",
            "2024-02-29T00:60:00Z", "2024-02-29T00:00:60Z", "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00.1234567890Z", "2024-02-29T00:00:00+0530",
            "2024-02-29T00:00:00+5:30", "2024-02-29T00:00:00+16:00", "2024-02-29T00:00:00Zx",
            "2024-02-30T00:00:00Z", "2024-02-29T0a:00:00Z", "2024-02-29T00:00Z") },
    { PUNIT_STRING, TEXTS("", "a", "\xc3\xa4", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbd"),
      TEXTS("\xff", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
            "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "a\xe2\x82") },
};


static void
types_take_what_they_say_and_no_more(void **state)
{
    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (const char *const *text = cases[i].good; *text != NULL; text++) {
            if (!punit_value_is(cases[i].type, *text, strlen(*text))) {
                fail_msg("\"%s\" is not taken as %s", *text, punit_value_expected(cases[i].type));
            }
        }

        for (const char *const *text = cases[i].bad; *text != NULL; text++) {
            if (punit_value_is(cases[i].type, *text, strlen(*text))) {
                fail_msg("\"%s\" is taken as %s", *text, punit_value_expected(cases[i].type));
            }
        }
    }
}


static void
a_text_with_a_zero_byte_is_no_string(void **state)
{
    (void) state;
    assert_false(punit_value_is(PUNIT_STRING, "a\0b", 3));
    assert_false(punit_value_is(PUNIT_INTEGER, "1\0", 2));
}


static void
check(punit_value_check_pt check_text, const char *const *good, const char *const *bad)
{
    for (; *good != NULL; good++) {
        if (check_text(*good, strlen(*good)) != NULL) {
            fail_msg("\"%s\" %s", *good, check_text(*good, strlen(*good)));
        }
    }

    for (; *bad != NULL; bad++) {
        if (check_text(*bad, strlen(*bad)) == NULL) {
            fail_msg("\"%s\" is taken", *bad);
        }
    }
}


static void
e_mail_addresses(void **state)
{
    (void) state;
    check(punit_value_check_email,
          TEXTS("a@b.de", "first.last+tag@sub.example.org", "o'hara@x-y.ie"),
          TEXTS("\xc3\xa4@b\xc3\xbc.de", "", "a", "@b.de", "a@", "a@b", "a b@c.de", "a@b..de",
                "a@.de", "a@b.de.", "a@-b.de", "a@b-.de", ".a@b.de", "a.@b.de", "a..b@c.de",
                "a@b@c.de", "a\"@b.de", "<a@b.de>", "a@b_c.de", "a@b.de\n", "a\r\nx@b.de",
                "0123456789012345678901234567890123456789012345678901234567890123456789@b.de"));
}


static void
language_tags(void **state)
{
    (void) state;
    check(punit_value_check_locale, TEXTS("de", "de-AT", "zh-Hant-TW", "es-419", "sl-nedis", "gsw"),
          TEXTS("", "d", "-", "de-", "-de", "de--AT", "de_AT", "1a", "toolonglang-x",
                "de-AT-verylongsubtag", "de AT"));
}


static void
time_zones(void **state)
{
    (void) state;
    check(punit_value_check_time_zone,
          TEXTS("UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "Etc/GMT+5"),
          TEXTS("", "europe/vienna", "Europe", "Mars/Olympus", "../etc/passwd", "/etc/passwd",
                "Europe/../../../../etc/passwd", "tzdata.zi", "Europe/Vienna ", "Europe/Vienna\n"));
}


static void
times_of_the_configuration(void **state)
{
    (void) state;
    assert_int_equal(punit_config_time_parse("500ms"), 500);
    assert_int_equal(punit_config_time_parse("10s"), 10000);
    assert_int_equal(punit_config_time_parse("10"), 10000);
    assert_int_equal(punit_config_time_parse("10m"), 600000);
    assert_int_equal(punit_config_time_parse("2h"), 7200000);
    assert_int_equal(punit_config_time_parse("0"), 0);

    for (const char *const *bad = TEXTS("", "s", "-1s", "1.5s", "10 s", "10x", "1s1",
                                        "99999999999999999999", "9223372036854775807h");
         *bad != NULL; bad++)
    {
        assert_int_equal(punit_config_time_parse(*bad), -1);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_take_what_they_say_and_no_more),
        cmocka_unit_test(a_text_with_a_zero_byte_is_no_string),
        cmocka_unit_test(e_mail_addresses),
        cmocka_unit_test(language_tags),
        cmocka_unit_test(time_zones),
        cmocka_unit_test(times_of_the_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
