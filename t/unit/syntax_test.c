/* links: ngx_punit_module/http/ngx_http_punit_syntax.c t/unit/nginx_shim.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ngx_http_punit_syntax.h>


/* exact size, so that ASan sees a byte too many */
static ngx_str_t
exact(const char *s, size_t len)
{
    ngx_str_t v = { len, malloc(len ? len : 1) };

    memcpy(v.data, s, len);
    return v;
}


#define of(text) exact(text, strlen(text))


static void
a_unit_s_id_is_of_small_letters_digits_and_hyphens_up_to_32(void **state)
{
    static const struct {
        const char *id;
        int         valid;
    } t[] = {
        { "eu", 1 },
        { "eu-1", 1 },
        { "-", 1 },
        { "0", 1 },
        { "abcdefghijklmnopqrstuvwxyz012345", 1 },
        { "", 0 },
        { "abcdefghijklmnopqrstuvwxyz0123456", 0 },
        { "EU", 0 },
        { "eu ", 0 },
        { "eu.", 0 },
        { "eu_1", 0 },
        { "\xc3\xa4", 0 },
        { "e\x01", 0 },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ngx_str_t id = of(t[i].id);

        assert_int_equal(ngx_http_punit_syntax_unit(&id), t[i].valid);
        free(id.data);
    }
}


static void
a_bearer_token_is_what_follows_the_scheme_and_spaces(void **state)
{
    static const struct {
        const char *value, *token;
    } t[] = {
        { "Bearer a.b.c", "a.b.c" },
        { "bearer a", "a" },
        { "BEARER   a b", "a b" },
        { "Bearer", "" },
        { "Bearer ", "" },
        { "Bearer a ", "a " },
        { "", NULL },
        { "Beare", NULL },
        { "Bearera", NULL },
        { "Bearer\ta", NULL },
        { "Basic Bearer", NULL },
        { " Bearer a", NULL },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ngx_str_t value = of(t[i].value), token = ngx_null_string;
        ngx_int_t rc = ngx_http_punit_syntax_bearer(&value, &token);

        assert_int_equal(rc, t[i].token ? NGX_OK : NGX_DECLINED);
        if (t[i].token) {
            assert_int_equal(token.len, strlen(t[i].token));
            assert_memory_equal(token.data, t[i].token, token.len);
        }
        free(value.data);
    }
}


static void
an_owner_is_a_unit_and_perhaps_an_epoch_and_nothing_else(void **state)
{
    static const struct {
        const char *value, *unit;
        uint64_t    epoch;
    } t[] = {
        { "eu", "eu", 0 },
        { "eu; epoch=2", "eu", 2 },
        { "eu;epoch=2", "eu", 2 },
        { "eu;   epoch=02", "eu", 2 },
        { "us-2; epoch=999999999999999999", "us-2", 999999999999999999 },
        { "eu; epoch=0", "eu", 0 },
        { "", NULL, 0 },
        { ";epoch=2", NULL, 0 },
        { "eu epoch=2", NULL, 0 },
        { "eu;", NULL, 0 },
        { "eu; ", NULL, 0 },
        { "eu; epoch=", NULL, 0 },
        { "eu; epoch=-1", NULL, 0 },
        { "eu; epoch=2 ", NULL, 0 },
        { "eu; epoch=2;", NULL, 0 },
        { "eu; epoch=1000000000000000000", NULL, 0 },
        { "eu; Epoch=2", NULL, 0 },
        { "eu; epochs=2", NULL, 0 },
        { "EU; epoch=2", NULL, 0 },
        { "eu, us; epoch=2", NULL, 0 },
        { " eu", NULL, 0 },
        { "eu;\tepoch=2", NULL, 0 },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ngx_str_t value = of(t[i].value), unit;
        uint64_t  epoch;
        ngx_int_t rc = ngx_http_punit_syntax_owner(&value, &unit, &epoch);

        if (rc != (t[i].unit ? NGX_OK : NGX_DECLINED)) {
            fail_msg("\"%s\" gave %d", t[i].value, (int) rc);
        }
        if (t[i].unit) {
            assert_int_equal(unit.len, strlen(t[i].unit));
            assert_memory_equal(unit.data, t[i].unit, unit.len);
            assert_int_equal(epoch, t[i].epoch);
        }
        free(value.data);
    }
}


static void
cdn_loop_names_an_id_among_others_with_parameters_without_case(void **state)
{
    static const struct {
        const char *value;
        int         loops;
    } t[] = {
        { "punit-eu", 1 },
        { "Punit-EU", 1 },
        { "other, punit-eu", 1 },
        { "other,punit-eu;v=1, third", 1 },
        { "\t, ,punit-eu ; v=\"x\"", 1 },
        { "a;b=punit-eu, punit-eu", 1 },
        { "", 0 },
        { "punit-e", 0 },
        { "punit-eu2", 0 },
        { "xpunit-eu", 0 },
        { "a;punit-eu", 0 },
        { "a punit-eu", 0 },
        { ",,, ,", 0 },
        { "punit-us", 0 },
    };
    ngx_str_t id = ngx_string("punit-eu");

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ngx_str_t value = of(t[i].value);

        if (ngx_http_punit_syntax_loop(&value, &id) != (ngx_uint_t) t[i].loops) {
            fail_msg("\"%s\"", t[i].value);
        }
        free(value.data);
    }
}


static void
if_none_match_names_an_etag_alone_strong_or_weak(void **state)
{
    static const struct {
        const char *value;
        int         named;
    } t[] = {
        { "\"old\"", 1 },
        { "W/\"old\"", 1 },
        { "", 0 },
        { "*", 0 },
        { "\"ol\"", 0 },
        { "\"older\"", 0 },
        { "W/", 0 },
        { "w/\"old\"", 0 },
        { "W/W/\"old\"", 0 },
        { "\"old\", \"new\"", 0 },
        { "\"new\", \"old\"", 0 },
        { "\"old\",", 0 },
        { "\"a\"old\"", 0 },
        { "old", 0 },
    };
    ngx_str_t etag = ngx_string("\"old\"");

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ngx_str_t value = of(t[i].value);

        if (ngx_http_punit_syntax_etag(&value, &etag) != (ngx_uint_t) t[i].named) {
            fail_msg("\"%s\"", t[i].value);
        }
        free(value.data);
    }
}


static void
a_request_id_has_no_octet_that_a_log_line_would_show_otherwise(void **state)
{
    for (int ch = 0; ch < 256; ch++) {
        char      text[3] = { 'a', (char) ch, '0' };
        ngx_str_t id = exact(text, 3);
        int       good = ch
                   && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", ch)
                          != NULL;

        if (ngx_http_punit_syntax_request_id(&id) != (ngx_uint_t) good) {
            fail_msg("octet %d", ch);
        }
        free(id.data);
    }

    char long_one[65];

    memset(long_one, 'a', sizeof(long_one));
    for (size_t len = 0; len <= sizeof(long_one); len++) {
        ngx_str_t id = exact(long_one, len);

        assert_int_equal(ngx_http_punit_syntax_request_id(&id), len >= 1 && len <= 64);
        free(id.data);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_s_id_is_of_small_letters_digits_and_hyphens_up_to_32),
        cmocka_unit_test(a_bearer_token_is_what_follows_the_scheme_and_spaces),
        cmocka_unit_test(an_owner_is_a_unit_and_perhaps_an_epoch_and_nothing_else),
        cmocka_unit_test(cdn_loop_names_an_id_among_others_with_parameters_without_case),
        cmocka_unit_test(if_none_match_names_an_etag_alone_strong_or_weak),
        cmocka_unit_test(a_request_id_has_no_octet_that_a_log_line_would_show_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
