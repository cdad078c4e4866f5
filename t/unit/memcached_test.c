/* links: ngx_punit_module/grid/ngx_http_punit_memcached.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ngx_http_punit_memcached.h>


/* exact size, so that ASan sees a byte too many */
static ngx_int_t
parse(ngx_http_punit_memcached_answer_t *a, const char *text, size_t len)
{
    u_char   *p = malloc(len ? len : 1);
    ngx_int_t rc;

    memcpy(p, text, len);
    rc = ngx_http_punit_memcached_parse(a, p, len);
    free(p);
    return rc;
}


static void
a_hit_gives_size_and_client_flags(void **state)
{
    static const struct {
        const char *line;
        size_t      size;
        uint32_t    flags;
    } v[] = {
        { "VA 5 f7\r\nhello\r\n", 5, 7 },
        { "VA 0 f0\r\n\r\n", 0, 0 },
        { "VA 1048576 f4294967295\r\n", 1048576, 4294967295u },
        { "VA 3 t-1 f12\r\nabc\r\n", 3, 12 },
        { "VA 3 f12 t30 s3 kpunit:x\r\nabc\r\n", 3, 12 },
        { "VA 3 W f1\r\nabc\r\n", 3, 1 },
    };
    ngx_http_punit_memcached_answer_t a;

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        assert_int_equal(parse(&a, v[i].line, strlen(v[i].line)), NGX_OK);
        assert_int_equal(a.kind, NGX_HTTP_PUNIT_MEMCACHED_HIT);
        assert_int_equal(a.size, v[i].size);
        assert_int_equal(a.flags, v[i].flags);
        assert_int_equal(a.head, strchr(v[i].line, '\n') + 1 - v[i].line);
    }
}


static void
a_miss_and_a_server_error_are_answers_too(void **state)
{
    ngx_http_punit_memcached_answer_t a;
    const char                       *error = "SERVER_ERROR out of memory writing get response\r\n";

    assert_int_equal(parse(&a, "EN\r\nVA", 6), NGX_OK);
    assert_int_equal(a.kind, NGX_HTTP_PUNIT_MEMCACHED_MISS);
    assert_int_equal(a.head, 4);
    assert_int_equal(parse(&a, error, strlen(error)), NGX_OK);
    assert_int_equal(a.kind, NGX_HTTP_PUNIT_MEMCACHED_TROUBLE);
    assert_int_equal(a.head, strlen(error));
}


static void
an_answer_cut_anywhere_is_waited_for(void **state)
{
    static const char *v[] = { "VA 12345 f99\r\n", "EN\r\n", "SERVER_ERROR busy\r\n" };
    ngx_http_punit_memcached_answer_t a;

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        for (size_t n = 0; n < strlen(v[i]); n++) {
            assert_int_equal(parse(&a, v[i], n), NGX_AGAIN);
        }
        assert_int_equal(parse(&a, v[i], strlen(v[i])), NGX_OK);
    }
}


static void
anything_else_breaks_the_connection(void **state)
{
    static const char *v[] = {
        "\r\n",
        "\n",
        "EN\n",
        "ENX\r\n",
        "E\r\n",
        "ERROR\r\n",
        "CLIENT_ERROR bad\r\n",
        "HD\r\n",
        "VALUE punit:x 0 5\r\nhello\r\nEND\r\n",
        "VA\r\n",
        "VA \r\n",
        "VA 5\r\n",
        "VA x f1\r\n",
        "VA -1 f1\r\n",
        "VA +5 f1\r\n",
        "VA 5f1\r\n",
        "VA 5 f\r\n",
        "VA 5 fx\r\n",
        "VA 5 f1x\r\n",
        "VA 5 f4294967296\r\n",
        "VA 134217729 f1\r\n",
        "VA 99999999999999999999999 f1\r\n",
        "VA 5 f1 f\r\n5",
        "SERVER_ERROR\r\n",
        "SERVER_ERROR \r\n",
        "va 5 f1\r\n",
    };
    ngx_http_punit_memcached_answer_t a;
    char                              line[NGX_HTTP_PUNIT_MEMCACHED_LINE_MAX];

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        ngx_int_t rc = parse(&a, v[i], strlen(v[i]));

        /* the second f is one of the flags passed over */
        if (rc != (strcmp(v[i], "VA 5 f1 f\r\n5") == 0 ? NGX_OK : NGX_ERROR)) {
            fail_msg("%ld for \"%s\"", (long) rc, v[i]);
        }
    }
    memset(line, 'x', sizeof(line));
    assert_int_equal(parse(&a, line, sizeof(line) - 1), NGX_AGAIN);
    assert_int_equal(parse(&a, line, sizeof(line)), NGX_ERROR);
}


static void
keys_are_what_memcached_takes(void **state)
{
    u_char    text[252], out[300], *end;
    ngx_str_t key = { 250, text };

    memset(text, 'k', sizeof(text));
    assert_true(ngx_http_punit_memcached_key(&key));
    end = ngx_http_punit_memcached_get(out, &key);
    assert_int_equal(end - out, 250 + NGX_HTTP_PUNIT_MEMCACHED_GET_LEN);
    assert_memory_equal(out, "mg kkk", 6);
    assert_memory_equal(end - 6, " f v\r\n", 6);
    key.len = 251;
    assert_false(ngx_http_punit_memcached_key(&key));
    key.len = 0;
    assert_false(ngx_http_punit_memcached_key(&key));
    key.len = 3;
    for (int c = 0; c < 256; c++) {
        text[1] = c;
        assert_int_equal(ngx_http_punit_memcached_key(&key), c > 0x20 && c < 0x7f);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_gives_size_and_client_flags),
        cmocka_unit_test(a_miss_and_a_server_error_are_answers_too),
        cmocka_unit_test(an_answer_cut_anywhere_is_waited_for),
        cmocka_unit_test(anything_else_breaks_the_connection),
        cmocka_unit_test(keys_are_what_memcached_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
