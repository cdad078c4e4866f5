
/*
 * The id of a request, X-Request-Id: that of the peer, else $request_id.  The
 * module makes $request_id itself if nothing has asked for it yet: 16 random
 * octets, as nginx does.  It draws a page of them at a time, because each call
 * of the generator takes a lock and checks for a fork.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_request_id.h>

#include <openssl/rand.h>


#define NGX_HTTP_PUNIT_REQUEST_ID_OCTETS  16
#define NGX_HTTP_PUNIT_REQUEST_ID_PAGE                                        \
    (256 * NGX_HTTP_PUNIT_REQUEST_ID_OCTETS)


static u_char  *ngx_http_punit_request_id_random(void);


/* The id is hexadecimal text in the pool of the request. */

ngx_str_t *
ngx_http_punit_request_id(ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    ngx_http_request_t          *r;
    ngx_http_variable_value_t   *vv;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->request_id.len) {
        return &ctx->request_id;
    }

    /* A subrequest has its own variables, and would get another id. */

    r = ctx->request;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    vv = &r->variables[pmcf->request_id];

    if (!vv->valid) {
        p = ngx_http_punit_request_id_random();

        if (p == NULL) {

            /* nginx has other sources. */

            vv = ngx_http_get_indexed_variable(r, pmcf->request_id);

            if (vv == NULL || vv->not_found) {
                return NULL;
            }

        } else {
            vv->data = ngx_pnalloc(r->pool,
                                   2 * NGX_HTTP_PUNIT_REQUEST_ID_OCTETS);
            if (vv->data == NULL) {
                return NULL;
            }

            (void) ngx_hex_dump(vv->data, p, NGX_HTTP_PUNIT_REQUEST_ID_OCTETS);

            vv->len = 2 * NGX_HTTP_PUNIT_REQUEST_ID_OCTETS;
            vv->valid = 1;
            vv->no_cacheable = 0;
            vv->not_found = 0;
        }
    }

    ctx->request_id.data = vv->data;
    ctx->request_id.len = vv->len;

    return &ctx->request_id;
}


/*
 * Of this process: a worker is never forked, so no two processes share a page.
 * NULL: the generator failed.
 */

static u_char *
ngx_http_punit_request_id_random(void)
{
    static u_char  page[NGX_HTTP_PUNIT_REQUEST_ID_PAGE];
    static size_t  used = NGX_HTTP_PUNIT_REQUEST_ID_PAGE;

    u_char  *p;

    if (used == NGX_HTTP_PUNIT_REQUEST_ID_PAGE) {

        if (RAND_bytes(page, NGX_HTTP_PUNIT_REQUEST_ID_PAGE) != 1) {
            return NULL;
        }

        used = 0;
    }

    p = page + used;
    used += NGX_HTTP_PUNIT_REQUEST_ID_OCTETS;

    return p;
}
