
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_base64url.h>


/* 64: not in the alphabet; the same holds for all octets from 128. */

static const u_char  ngx_http_punit_base64url_value[128] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64,
    64, 64, 64, 64, 64,  0,  1,  2,  3,  4,  5,  6,
     7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
    19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
    49, 50, 51, 64, 64, 64, 64, 64
};


#define ngx_http_punit_sextet(c)                                              \
    ((c) < 128 ? ngx_http_punit_base64url_value[c] : 64)


ngx_int_t
ngx_http_punit_base64url_decode(u_char *dst, size_t *n, const u_char *src,
    size_t len)
{
    u_char         *d;
    uint32_t        a, b, c, e;
    const u_char   *last;

    if (len % 4 == 1) {
        return NGX_DECLINED;
    }

    d = dst;

    for (last = src + len - len % 4; src < last; src += 4) {
        a = ngx_http_punit_sextet(src[0]);
        b = ngx_http_punit_sextet(src[1]);
        c = ngx_http_punit_sextet(src[2]);
        e = ngx_http_punit_sextet(src[3]);

        if ((a | b | c | e) & 64) {
            return NGX_DECLINED;
        }

        *d++ = (u_char) (a << 2 | b >> 4);
        *d++ = (u_char) (b << 4 | c >> 2);
        *d++ = (u_char) (c << 6 | e);
    }

    if (len % 4) {
        a = ngx_http_punit_sextet(src[0]);
        b = ngx_http_punit_sextet(src[1]);
        c = (len % 4 == 3) ? ngx_http_punit_sextet(src[2]) : 0;

        if ((a | b | c) & 64) {
            return NGX_DECLINED;
        }

        /* The bits that belong to no octet. */

        if (len % 4 == 3 ? c & 3 : b & 15) {
            return NGX_DECLINED;
        }

        *d++ = (u_char) (a << 2 | b >> 4);

        if (len % 4 == 3) {
            *d++ = (u_char) (b << 4 | c >> 2);
        }
    }

    *n = d - dst;

    return NGX_OK;
}
