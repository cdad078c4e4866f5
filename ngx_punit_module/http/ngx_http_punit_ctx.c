
/* The context of a request, and waiting. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_ctx.h>


static void ngx_http_punit_ctx_cleanup(void *data);


/*
 * An internal redirect zeroes r->ctx, but not the data of the cleanup.
 * Subrequests share the pool, so the owner of the context is checked.
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


/* What a subrequest may know of the request that made it. */

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
    ctx->token.verdict = "none";
    ctx->route.why = "";

    cln->handler = ngx_http_punit_ctx_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_punit_module);

    return ctx;
}


ngx_http_punit_ctx_t *
ngx_http_punit_ctx_create_answered(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t  *ctx;

    ctx = ngx_http_punit_ctx_create(r);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);
    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_REFUSE;

    return ctx;
}


/*
 * The request starts anew in another location: nothing that was found for the
 * first location may open the second.
 */

void
ngx_http_punit_ctx_reset(ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t            id;
    ngx_uint_t           inherited;
    ngx_http_request_t  *r;

    r = ctx->request;
    id = ctx->request_id;
    inherited = ctx->answer.inherited;

    ngx_http_punit_ctx_cleanup(ctx);

    ngx_memzero(ctx, sizeof(ngx_http_punit_ctx_t));

    ctx->request = r;
    ctx->request_id = id;
    ctx->answer.inherited = inherited;
    ctx->token.verdict = "none";
    ctx->route.why = "";
}


static void
ngx_http_punit_ctx_cleanup(void *data)
{
    ngx_http_punit_ctx_t  *ctx = data;

    if (ctx->grid.release) {
        ctx->grid.release(ctx);
    }
}


/*
 * A client that goes away ends the request.  What is waited for detaches with
 * the pool of the request.
 */

void
ngx_http_punit_ctx_wait(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ctx->waiting = 1;

    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
}


/* Continues the phase that waits, from the handler of an event. */

void
ngx_http_punit_ctx_resume(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
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
