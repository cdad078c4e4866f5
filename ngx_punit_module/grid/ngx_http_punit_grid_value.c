
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_grid_value.h>


ngx_int_t
ngx_http_punit_grid_value_document(const ngx_str_t *value, ngx_str_t *etag,
    ngx_str_t *type, ngx_str_t *body)
{
    u_char  *p, *last, *lf;

    p = value->data;
    last = p + value->len;

    lf = ngx_strlchr(p, last, LF);

    if (lf == NULL || *p != '"') {
        return NGX_DECLINED;
    }

    etag->data = p;

    for (p++; p < lf && *p != '"'; p++) {
        if (*p <= 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    if (lf - p < 3 || p[1] != ' ') {
        return NGX_DECLINED;
    }

    etag->len = ++p - etag->data;

    type->data = ++p;
    type->len = lf - p;

    for ( /* void */ ; p < lf; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    body->data = lf + 1;
    body->len = last - (lf + 1);

    return NGX_OK;
}


uint32_t
ngx_http_punit_grid_value_generation(const ngx_str_t *value)
{
    u_char    *p;
    size_t     i;
    uint32_t   flags;

    if (value->len == 0) {
        return 0;
    }

    flags = 0;
    p = value->data;

    for (i = 0; i < value->len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }

        flags = flags * 10 + (p[i] - '0');
    }

    return flags ? flags : 1;
}
