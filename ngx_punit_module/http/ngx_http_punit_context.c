
/*
 * The context of a request, and waiting for something.
 */


#include "ngx_http_punit_module.h"


static void ngx_http_punit_ctx_cleanup(void *data);


/*
 * An internal redirect zeroes r->ctx; the cleanup's data is not lost.  The
 * pool is shared with subrequests, so it has to be asked whose context it is.
 */

ngx_http_punit_ctx_t *
ngx_http_punit_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_punit_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_punit_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_punit_ctx_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            ngx_http_set_ctx(r, ctx, ngx_http_punit_module);
            return ctx;
        }
    }

    return NULL;
}


/* what a subrequest may know of the request it was made for */

ngx_http_punit_ctx_t *
ngx_http_punit_ctx_of_parent(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t  *ctx;

    for ( /* void */ ; r; r = r->parent) {
        ctx = ngx_http_punit_ctx(r);

        if (ctx) {
            return ctx;
        }
    }

    return NULL;
}


ngx_http_punit_ctx_t *
ngx_http_punit_ctx_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_punit_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_punit_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;

    ngx_memzero(ctx, sizeof(ngx_http_punit_ctx_t));

    ctx->request = r;
    ctx->verdict = "none";
    ctx->why = "";

    cln->handler = ngx_http_punit_ctx_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_punit_module);

    return ctx;
}


/* the request begins anew in another location: nothing that was found out for
   the first one opens the second */

void
ngx_http_punit_ctx_reset(ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t            id;
    ngx_uint_t           inherited;
    ngx_http_request_t  *r;

    r = ctx->request;
    id = ctx->id;
    inherited = ctx->inherited;

    ngx_http_punit_ctx_cleanup(ctx);

    ngx_memzero(ctx, sizeof(ngx_http_punit_ctx_t));

    ctx->request = r;
    ctx->id = id;
    ctx->inherited = inherited;
    ctx->verdict = "none";
    ctx->why = "";
}


static void
ngx_http_punit_ctx_cleanup(void *data)
{
    ngx_http_punit_ctx_t  *ctx = data;

    ngx_http_punit_main_conf_t  *pmcf;

    /* without an answer: another one has to refill */

    if (ctx->refill) {
        pmcf = ngx_http_get_module_main_conf(ctx->request,
                                             ngx_http_punit_module);
        ngx_http_punit_refill_done(ngx_http_punit_zone(pmcf), ctx->refill, 0);
        ctx->refill = 0;
    }
}


/*
 * The phase handler returns NGX_AGAIN after this.  A client that goes away
 * ends the request, and what is waited for detaches with its pool.
 */

void
ngx_http_punit_wait(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ctx->waiting = 1;

    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
}


/* goes on with the phase that waits, from an event's handler */

void
ngx_http_punit_resume(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = r->connection;

    ctx->waiting = 0;

    if (r == r->main) {
        r->read_event_handler = ngx_http_block_reading;
    }

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}
