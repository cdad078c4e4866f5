
/*
 * The key of a document.  Equal requests have equal keys, and no request can
 * make the key of a different one.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_document_key.h>
#include <ngx_http_punit_syntax.h>

#include <openssl/sha.h>


static ngx_int_t ngx_http_punit_document_key_args(ngx_http_request_t *r,
    ngx_array_t *names, ngx_str_t *values, ngx_uint_t *present);


/* The text says what is asked for.  It is the same for every client. */

ngx_int_t
ngx_http_punit_document_key_text(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    u_char                     *p;
    size_t                      i, n, len;
    ngx_str_t                  *name, service;
    ngx_uint_t                  present;
    ngx_http_punit_loc_conf_t  *plcf;
    ngx_str_t                   values[NGX_HTTP_PUNIT_ARGS_MAX];

    plcf = ctx->plcf;
    present = 0;

    if (ngx_http_punit_document_key_service(r, &service) != NGX_OK
        || ngx_http_punit_document_key_args(r, plcf->grid_args, values,
                                            &present)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    name = plcf->grid_args ? plcf->grid_args->elts : NULL;
    n = present ? plcf->grid_args->nelts : 0;

    /* The text is never longer than the request line. */

    len = sizeof("GET\n") - 1 + r->uri.len + 1 + r->args.len + 1;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->grid.text.data = p;
    ctx->grid.service = service;

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

    ctx->grid.text.len = p - ctx->grid.text.data;

    return NGX_OK;
}


/*
 * The key is made when it is needed: a document in the near cache needs none.
 */

ngx_int_t
ngx_http_punit_document_key(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char  *p;
    u_char   digest[SHA256_DIGEST_LENGTH];

    if (ctx->grid.key.len || ctx->grid.text.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof("punit:doc::") - 1 + ctx->grid.service.len
                             + 2 * SHA256_DIGEST_LENGTH);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) SHA256(ctx->grid.text.data, ctx->grid.text.len, digest);

    ctx->grid.key.data = p;

    p = ngx_cpymem(p, "punit:doc:", sizeof("punit:doc:") - 1);
    p = ngx_cpymem(p, ctx->grid.service.data, ctx->grid.service.len);
    *p++ = ':';
    p = ngx_hex_dump(p, digest, SHA256_DIGEST_LENGTH);

    ctx->grid.key.len = p - ctx->grid.key.data;

    return NGX_OK;
}


/*
 * The rest of the path must not have control characters.  The path is decoded,
 * and a line end in it would read like an argument of the key.
 */

ngx_int_t
ngx_http_punit_document_key_service(ngx_http_request_t *r, ngx_str_t *service)
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

    if (service->len == 0 || service->len > NGX_HTTP_PUNIT_UNIT_MAX) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * Splits the arguments as they came.  The request is not cached if an argument
 * is repeated, has no "=", or is not in the list.
 */

static ngx_int_t
ngx_http_punit_document_key_args(ngx_http_request_t *r, ngx_array_t *names,
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
