
/*
 * The id of a request, X-Request-Id: a peer's, else $request_id, which is made
 * here if nobody asked for it before.  As nginx's own it is 16 random octets,
 * but a page of them is drawn at a time: at every call the generator locks,
 * and asks the kernel whether it has been forked.
 */


#include "ngx_http_punit_module.h"

#include <openssl/rand.h>


#define NGX_HTTP_PUNIT_ID_OCTETS  16
#define NGX_HTTP_PUNIT_ID_PAGE    (256 * NGX_HTTP_PUNIT_ID_OCTETS)


static u_char  *ngx_http_punit_id_random(void);


/* ctx->id, made if there is none yet; NULL: no memory */

ngx_str_t *
ngx_http_punit_id(ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    ngx_http_request_t          *r;
    ngx_http_variable_value_t   *vv;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->id.len) {
        return &ctx->id;
    }

    /* a subrequest has variables of its own, and would get another id */

    r = ctx->request;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    vv = &r->variables[pmcf->request_id];

    if (!vv->valid) {
        p = ngx_http_punit_id_random();

        if (p == NULL) {

            /* nginx has other sources */

            vv = ngx_http_get_indexed_variable(r, pmcf->request_id);

            if (vv == NULL || vv->not_found) {
                return NULL;
            }

        } else {
            vv->data = ngx_pnalloc(r->pool, 2 * NGX_HTTP_PUNIT_ID_OCTETS);
            if (vv->data == NULL) {
                return NULL;
            }

            (void) ngx_hex_dump(vv->data, p, NGX_HTTP_PUNIT_ID_OCTETS);

            vv->len = 2 * NGX_HTTP_PUNIT_ID_OCTETS;
            vv->valid = 1;
            vv->no_cacheable = 0;
            vv->not_found = 0;
        }
    }

    ctx->id.data = vv->data;
    ctx->id.len = vv->len;

    return &ctx->id;
}


/* of this process: a worker is never forked, so that no two of them share a
   page; NULL: the generator failed */

static u_char *
ngx_http_punit_id_random(void)
{
    static u_char  page[NGX_HTTP_PUNIT_ID_PAGE];
    static size_t  used = NGX_HTTP_PUNIT_ID_PAGE;

    u_char  *p;

    if (used == NGX_HTTP_PUNIT_ID_PAGE) {

        if (RAND_bytes(page, NGX_HTTP_PUNIT_ID_PAGE) != 1) {
            return NULL;
        }

        used = 0;
    }

    p = page + used;
    used += NGX_HTTP_PUNIT_ID_OCTETS;

    return p;
}
