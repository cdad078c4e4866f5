
/*
 * The key of a document: who asks for the same thing has the same one, and
 * nobody can make another's.
 */


#include "ngx_http_punit_module.h"

#include <openssl/sha.h>


static ngx_int_t ngx_http_punit_grid_args(ngx_http_request_t *r,
    ngx_array_t *names, ngx_str_t *values, ngx_uint_t *present);


/*
 * ctx->grid_text = "GET\n" path "\n" and, for each of punit_grid_args that is
 * there, in that order, name "=" value "\n": what is asked for, whoever asks.
 * NGX_OK; NGX_DECLINED: the answer must not be kept, the text is empty;
 * NGX_ERROR: no memory.
 */

ngx_int_t
ngx_http_punit_grid_text(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                     *p;
    size_t                      i, n, len;
    ngx_str_t                  *name, service;
    ngx_uint_t                  present;
    ngx_http_punit_loc_conf_t  *plcf;
    ngx_str_t                   values[NGX_HTTP_PUNIT_ARGS_MAX];

    plcf = ctx->plcf;
    present = 0;

    if (ngx_http_punit_grid_service(r, &service) != NGX_OK
        || ngx_http_punit_grid_args(r, plcf->grid_args, values, &present)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    name = plcf->grid_args ? plcf->grid_args->elts : NULL;
    n = present ? plcf->grid_args->nelts : 0;

    /* no longer than the request line was: what is not there is not in it */

    len = sizeof("GET\n") - 1 + r->uri.len + 1 + r->args.len + 1;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->grid_text.data = p;
    ctx->service = service;

    p = ngx_cpymem(p, "GET\n", sizeof("GET\n") - 1);
    p = ngx_cpymem(p, r->uri.data, r->uri.len);
    *p++ = '\n';

    for (i = 0; i < n; i++) {

        if (!(present & ((ngx_uint_t) 1 << i))) {
            continue;
        }

        p = ngx_cpymem(p, name[i].data, name[i].len);
        *p++ = '=';
        p = ngx_cpymem(p, values[i].data, values[i].len);
        *p++ = '\n';
    }

    ctx->grid_text.len = p - ctx->grid_text.data;

    return NGX_OK;
}


/*
 * ctx->grid_key = punit:doc:<service>:<SHA-256 of ctx->grid_text>, unless it
 * is there already; empty if the text is.  NGX_OK; NGX_ERROR: no memory
 */

ngx_int_t
ngx_http_punit_grid_key(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char  *p;
    u_char   digest[SHA256_DIGEST_LENGTH];

    if (ctx->grid_key.len || ctx->grid_text.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof("punit:doc::") - 1 + ctx->service.len
                             + 2 * SHA256_DIGEST_LENGTH);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) SHA256(ctx->grid_text.data, ctx->grid_text.len, digest);

    ctx->grid_key.data = p;

    p = ngx_cpymem(p, "punit:doc:", sizeof("punit:doc:") - 1);
    p = ngx_cpymem(p, ctx->service.data, ctx->service.len);
    *p++ = ':';
    p = ngx_hex_dump(p, digest, SHA256_DIGEST_LENGTH);

    ctx->grid_key.len = p - ctx->grid_key.data;

    return NGX_OK;
}


/* the first segment of the path.  No control characters in the rest: the path
   is decoded, and a line end in it would read like an argument of the key */

ngx_int_t
ngx_http_punit_grid_service(ngx_http_request_t *r, ngx_str_t *service)
{
    u_char  *p, *last;

    p = r->uri.data;
    last = p + r->uri.len;

    if (p == last || *p != '/') {
        return NGX_DECLINED;
    }

    service->data = ++p;

    while (p < last && *p != '/') {

        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
              || *p == '-' || *p == '_'))
        {
            return NGX_DECLINED;
        }

        p++;
    }

    service->len = p - service->data;

    if (service->len == 0 || service->len > NGX_HTTP_PUNIT_ID_MAX) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* takes the arguments apart as they came; one that is repeated, has no "=" or
   is not in the list makes the request one that is not cached */

static ngx_int_t
ngx_http_punit_grid_args(ngx_http_request_t *r, ngx_array_t *names,
    ngx_str_t *values, ngx_uint_t *present)
{
    u_char      *p, *end, *eq, *last;
    ngx_str_t   *name;
    ngx_uint_t   i, n;

    n = names ? names->nelts : 0;
    name = names ? names->elts : NULL;

    p = r->args.data;
    last = p + r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');
        if (eq == NULL) {
            return NGX_DECLINED;
        }

        for (i = 0; i < n; i++) {
            if (name[i].len == (size_t) (eq - p)
                && ngx_memcmp(name[i].data, p, name[i].len) == 0)
            {
                break;
            }
        }

        if (i == n || (*present & ((ngx_uint_t) 1 << i))) {
            return NGX_DECLINED;
        }

        *present |= (ngx_uint_t) 1 << i;

        values[i].data = eq + 1;
        values[i].len = end - (eq + 1);
    }

    return NGX_OK;
}
