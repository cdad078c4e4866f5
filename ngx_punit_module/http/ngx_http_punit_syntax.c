
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_syntax.h>


#define NGX_HTTP_PUNIT_EPOCH_DIGITS  18        /* what an int64_t holds */


ngx_uint_t
ngx_http_punit_syntax_unit(const ngx_str_t *id)
{
    u_char  ch;
    size_t  i;

    if (id->len == 0 || id->len > NGX_HTTP_PUNIT_UNIT_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        ch = id->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '-'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_punit_syntax_uuid(const ngx_str_t *text)
{
    u_char  ch;
    size_t  i;

    if (text->len != 36) {
        return 0;
    }

    for (i = 0; i < 36; i++) {
        ch = text->data[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {

            if (ch != '-') {
                return 0;
            }

            continue;
        }

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f'))) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_punit_syntax_bearer(const ngx_str_t *value, ngx_str_t *token)
{
    u_char  *p, *last;

    if (value->len < sizeof("Bearer") - 1
        || ngx_strncasecmp(value->data, (u_char *) "Bearer",
                           sizeof("Bearer") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    p = value->data + sizeof("Bearer") - 1;
    last = value->data + value->len;

    if (p < last && *p != ' ') {
        return NGX_DECLINED;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    token->data = p;
    token->len = last - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_syntax_owner(const ngx_str_t *value, ngx_str_t *unit,
    uint64_t *epoch)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    unit->data = p;

    while (p < last && *p != ';') {
        p++;
    }

    unit->len = p - unit->data;

    if (!ngx_http_punit_syntax_unit(unit)) {
        return NGX_DECLINED;
    }

    *epoch = 0;

    if (p == last) {
        return NGX_OK;
    }

    p++;

    while (p < last && *p == ' ') {
        p++;
    }

    if (last - p < (ssize_t) sizeof("epoch=")
        || last - p > (ssize_t) (sizeof("epoch=") - 1
                                 + NGX_HTTP_PUNIT_EPOCH_DIGITS)
        || ngx_strncmp(p, "epoch=", sizeof("epoch=") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    for (p += sizeof("epoch=") - 1; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        *epoch = *epoch * 10 + (*p - '0');
    }

    return NGX_OK;
}


/* cdn-info *( "," cdn-info ), cdn-info = cdn-id *( ";" parameter ) */

ngx_uint_t
ngx_http_punit_syntax_loop(const ngx_str_t *value, const ngx_str_t *id)
{
    u_char  *p, *last, *end;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        for (end = p;
             end < last && *end != ',' && *end != ';' && *end != ' '
             && *end != '\t';
             end++)
        {
            /* void */
        }

        if ((size_t) (end - p) == id->len
            && ngx_strncasecmp(p, id->data, id->len) == 0)
        {
            return 1;
        }

        p = end;

        while (p < last && *p != ',') {
            p++;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_punit_syntax_etag(const ngx_str_t *value, const ngx_str_t *etag)
{
    u_char  *p;
    size_t   len;

    p = value->data;
    len = value->len;

    if (len > 2 && p[0] == 'W' && p[1] == '/') {
        p += 2;
        len -= 2;
    }

    return len == etag->len && ngx_memcmp(p, etag->data, len) == 0;
}


ngx_uint_t
ngx_http_punit_syntax_request_id(const ngx_str_t *id)
{
    u_char  ch;
    size_t  i;

    if (id->len == 0 || id->len > NGX_HTTP_PUNIT_REQUEST_ID_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        ch = id->data[i] | 0x20;

        if (!((ch >= 'a' && ch <= 'z')
              || (id->data[i] >= '0' && id->data[i] <= '9')
              || id->data[i] == '-' || id->data[i] == '_'))
        {
            return 0;
        }
    }

    return 1;
}
