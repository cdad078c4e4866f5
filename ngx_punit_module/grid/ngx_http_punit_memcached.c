
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_memcached.h>


static ngx_int_t ngx_http_punit_memcached_value(
    ngx_http_punit_memcached_answer_t *answer, const u_char *p,
    const u_char *last);
static ngx_int_t ngx_http_punit_memcached_number(uint64_t *n, uint64_t max,
    const u_char **pos, const u_char *last);


ngx_uint_t
ngx_http_punit_memcached_key(const ngx_str_t *key)
{
    size_t  i;

    if (key->len == 0 || key->len > NGX_HTTP_PUNIT_MEMCACHED_KEY_MAX) {
        return 0;
    }

    for (i = 0; i < key->len; i++) {
        if (key->data[i] < 0x21 || key->data[i] > 0x7e) {
            return 0;
        }
    }

    return 1;
}


u_char *
ngx_http_punit_memcached_get(u_char *p, const ngx_str_t *key)
{
    p = ngx_cpymem(p, "mg ", 3);
    p = ngx_cpymem(p, key->data, key->len);

    return ngx_cpymem(p, " f v" CRLF, sizeof(" f v" CRLF) - 1);
}


ngx_int_t
ngx_http_punit_memcached_parse(ngx_http_punit_memcached_answer_t *answer,
    const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *lf;

    n = ngx_min(len, NGX_HTTP_PUNIT_MEMCACHED_LINE_MAX);

    lf = n ? memchr(p, LF, n) : NULL;

    if (lf == NULL) {
        return n < NGX_HTTP_PUNIT_MEMCACHED_LINE_MAX ? NGX_AGAIN : NGX_ERROR;
    }

    n = lf - p;

    if (n < 3 || p[n - 1] != CR) {
        return NGX_ERROR;
    }

    answer->head = n + 1;
    answer->flags = 0;
    answer->size = 0;
    n--;

    if (p[0] == 'V' && p[1] == 'A' && p[2] == ' ') {
        answer->kind = NGX_HTTP_PUNIT_MEMCACHED_HIT;
        return ngx_http_punit_memcached_value(answer, p + 3, p + n);
    }

    if (n == 2 && p[0] == 'E' && p[1] == 'N') {
        answer->kind = NGX_HTTP_PUNIT_MEMCACHED_MISS;
        return NGX_OK;
    }

    if (n > 13 && ngx_memcmp(p, "SERVER_ERROR ", 13) == 0) {
        answer->kind = NGX_HTTP_PUNIT_MEMCACHED_TROUBLE;
        return NGX_OK;
    }

    return NGX_ERROR;
}


/* <size> f<flags>; other flags, which were not asked for, are skipped. */

static ngx_int_t
ngx_http_punit_memcached_value(ngx_http_punit_memcached_answer_t *answer,
    const u_char *p, const u_char *last)
{
    uint64_t    n;
    ngx_uint_t  found;

    if (ngx_http_punit_memcached_number(&n, NGX_HTTP_PUNIT_MEMCACHED_VALUE_MAX,
                                        &p, last)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    answer->size = (size_t) n;
    found = 0;

    while (p < last) {

        if (*p++ != ' ') {
            return NGX_ERROR;
        }

        if (p < last && *p == 'f' && !found) {
            p++;
            found = 1;

            if (ngx_http_punit_memcached_number(&n, 0xffffffff, &p, last)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            answer->flags = (uint32_t) n;
            continue;
        }

        while (p < last && *p != ' ') {
            p++;
        }
    }

    return found ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_punit_memcached_number(uint64_t *n, uint64_t max,
    const u_char **pos, const u_char *last)
{
    const u_char  *p;

    *n = 0;

    for (p = *pos; p < last && *p >= '0' && *p <= '9'; p++) {
        *n = *n * 10 + (*p - '0');

        if (*n > max) {
            return NGX_ERROR;
        }
    }

    if (p == *pos || (p < last && *p != ' ')) {
        return NGX_ERROR;
    }

    *pos = p;

    return NGX_OK;
}
