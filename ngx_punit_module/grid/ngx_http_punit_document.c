
/*
 * The grid route: reference data from memcached.  One round trip brings the
 * document and the generation of the service.  A generation that was read
 * within the last milliseconds is not asked for.  A document of another
 * generation is a miss.  For a document in the near cache only the generation
 * is asked for.
 *
 * After a miss one request refills.  The others get the previous document
 * while the refill runs, for punit_grid_stale at most.  If they may not have
 * it, they wait.  So a change or a flush of memcached costs PostgreSQL one
 * statement a document.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_document.h>
#include <ngx_http_punit_document_key.h>
#include <ngx_http_punit_generation.h>
#include <ngx_http_punit_grid_value.h>
#include <ngx_http_punit_local_cache.h>
#include <ngx_http_punit_refill.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


static ngx_int_t ngx_http_punit_document_ask(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static void ngx_http_punit_document_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc);
static void ngx_http_punit_document_confirmed(ngx_http_request_t *r,
    void *data, ngx_http_punit_grid_value_t *values, ngx_uint_t n,
    ngx_int_t rc);
static ngx_int_t ngx_http_punit_document_of(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_grid_value_t *value);
static ngx_int_t ngx_http_punit_document_miss(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_grid_value_t *previous);
static void ngx_http_punit_document_refilled(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_int_t rc);
static ngx_int_t ngx_http_punit_document_previous(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_grid_value_t *document);
static ngx_int_t ngx_http_punit_document_send(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* NGX_AGAIN: waits; NGX_DONE: answered; NGX_DECLINED: ask the worker. */

ngx_int_t
ngx_http_punit_document_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->grid.looked) {

        if (ctx->grid.document.data == NULL) {
            return NGX_DECLINED;
        }

        return ngx_http_punit_document_send(r, ctx);
    }

    ctx->grid.looked = 1;
    ctx->grid.asked = ngx_current_msec;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (ngx_http_punit_generation_get(ngx_http_punit_zone(pmcf),
                                      &ctx->grid.service,
                                      &ctx->grid.generation)
        == NGX_OK)
    {
        if (pmcf->local_cache
            && ngx_http_punit_local_cache_get(r, ctx) == NGX_OK)
        {
            ngx_http_punit_counter_add(r, grid_near);
            return ngx_http_punit_document_send(r, ctx);
        }

        if (ngx_http_punit_document_key(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_punit_grid_get(ctx->plcf->grid, r, &ctx->grid.key, 1,
                                     ngx_http_punit_document_found, ctx);
    } else {
        rc = ngx_http_punit_document_ask(r, ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_punit_counter_add(r, grid_failed);
        return NGX_DECLINED;
    }

    ngx_http_punit_ctx_wait(r, ctx);

    return NGX_AGAIN;
}


/*
 * Asks for the generation, and for the document unless the near cache has it.
 */

static ngx_int_t
ngx_http_punit_document_ask(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    ngx_str_t                    keys[2];
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[sizeof("punit:gen:")
                                     + NGX_HTTP_PUNIT_UNIT_MAX];

    p = ngx_cpymem(buf, "punit:gen:", sizeof("punit:gen:") - 1);
    p = ngx_cpymem(p, ctx->grid.service.data, ctx->grid.service.len);

    keys[0].data = buf;
    keys[0].len = p - buf;

    ctx->grid.generation = 0;
    ctx->grid.asked = ngx_current_msec;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (pmcf->local_cache && ngx_http_punit_local_cache_find(ctx) == NGX_OK) {
        return ngx_http_punit_grid_get(ctx->plcf->grid, r, keys, 1,
                                       ngx_http_punit_document_confirmed, ctx);
    }

    if (ngx_http_punit_document_key(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    keys[1] = ctx->grid.key;

    return ngx_http_punit_grid_get(ctx->plcf->grid, r, keys, 2,
                                   ngx_http_punit_document_found, ctx);
}


/* Handles the answer to a question for the generation alone. */

static void
ngx_http_punit_document_confirmed(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    if (!values[0].known) {
        ngx_http_punit_counter_add(r, grid_failed);

    } else if (ngx_http_punit_document_of(r, ctx, &values[0]) != NGX_OK) {

        if (ngx_http_punit_document_miss(r, ctx, NULL) == NGX_AGAIN) {
            return;
        }

    } else if (ngx_http_punit_local_cache_get(r, ctx) == NGX_OK) {
        ngx_http_punit_counter_add(r, grid_near);

    } else if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
        /* The near cache has dropped it: it was of another generation. */
        return;

    } else {
        ngx_http_punit_counter_add(r, grid_failed);
    }

    ngx_http_punit_ctx_resume(r, ctx);
}


static void
ngx_http_punit_document_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    ngx_http_punit_grid_value_t  *document, *previous;

    document = &values[n - 1];
    previous = NULL;

    if (!document->known || !values[0].known) {
        ngx_http_punit_counter_add(r, grid_failed);
        goto done;
    }

    if (n == 2
        && ngx_http_punit_document_of(r, ctx, &values[0]) != NGX_OK)
    {
        goto miss;
    }

    if (!document->found) {
        goto miss;
    }

    if (document->flags == ctx->grid.generation) {
        ctx->grid.document = document->data;
        ngx_http_punit_local_cache_keep(r, ctx);
        ngx_http_punit_counter_add(r, grid_hits);
        goto done;
    }

    if (n == 1) {

        /*
         * Either the document or the kept generation is outdated: ask for
         * both.
         */

        if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
            return;
        }

        ngx_http_punit_counter_add(r, grid_failed);
        goto done;
    }

    previous = document;

miss:

    if (ngx_http_punit_document_miss(r, ctx, previous) == NGX_AGAIN) {
        return;
    }

done:

    ngx_http_punit_ctx_resume(r, ctx);
}


/*
 * NGX_DECLINED: the request goes to the worker, because it refills or because
 * waiting is useless.  NGX_OK: it gets the previous document.  NGX_AGAIN: it
 * waits for the refill that runs, and asks the grid again.
 */

static ngx_int_t
ngx_http_punit_document_miss(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_grid_value_t *previous)
{
    uint32_t    hash;
    ngx_int_t   rc;
    ngx_msec_t  since;

    hash = ngx_crc32_short(ctx->grid.text.data, ctx->grid.text.len);

    if (hash == 0) {
        hash = 1;
    }

    rc = ngx_http_punit_refill_begin(r, ctx, hash, &since);

    if (rc == NGX_AGAIN && !ctx->grid.waited) {
        ctx->grid.waited = 1;

        if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    if (rc == NGX_BUSY && previous && since < ctx->plcf->grid_stale
        && ngx_http_punit_document_previous(r, ctx, previous) == NGX_OK)
    {
        ctx->grid.document = previous->data;
        ngx_http_punit_counter_add(r, grid_stale);
        return NGX_OK;
    }

    if (rc == NGX_BUSY && !ctx->grid.waited
        && ngx_http_punit_refill_wait(r, ctx, hash,
                                      ngx_http_punit_document_refilled)
           == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    ngx_http_punit_counter_add(r, grid_misses);

    return NGX_DECLINED;
}


/*
 * NGX_OK: the worker has answered.  If the grid still lacks the document, it
 * does not keep it (an error, too large), and the next requests must not queue
 * for it.  NGX_BUSY: the time is up.  NGX_DECLINED: the request that refilled
 * is gone, so another one has to refill.
 */

static void
ngx_http_punit_document_refilled(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_int_t rc)
{
    ctx->grid.waited = (rc != NGX_DECLINED);

    ngx_http_punit_counter_add(r, grid_waited);

    if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
        return;
    }

    ngx_http_punit_counter_add(r, grid_failed);

    ngx_http_punit_ctx_resume(r, ctx);
}


/* Learns the generation.  NGX_OK; NGX_DECLINED: there is none. */

static ngx_int_t
ngx_http_punit_document_of(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_grid_value_t *value)
{
    ngx_http_punit_main_conf_t  *pmcf;

    ctx->grid.generation = value->found
                      ? ngx_http_punit_grid_value_generation(&value->data) : 0;

    if (ctx->grid.generation == 0) {
        return NGX_DECLINED;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ngx_http_punit_generation_keep(ngx_http_punit_zone(pmcf),
                                   &ctx->grid.service,
                                   ctx->grid.generation, ctx->grid.asked);
    return NGX_OK;
}


/*
 * A worker raises the generation before it answers to a change.  It also does
 * so before it answers with something newer than the grid has.  A client that
 * has seen such an answer must not get an older one.  A refilled document is
 * in the grid by now.
 */

void
ngx_http_punit_document_answered(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                    service;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->plcf->grid == NULL
        || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_REFERENCE
        || (ctx->route.type != NGX_HTTP_PUNIT_ROUTE_LOCAL
            && ctx->route.type != NGX_HTTP_PUNIT_ROUTE_FORWARD)
        || ngx_http_punit_document_key_service(r, &service) != NGX_OK)
    {
        return;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ngx_http_punit_generation_drop(ngx_http_punit_zone(pmcf), &service);

    ngx_http_punit_refill_end(ctx, 1);
}


/*
 * A unit must not show older text after newer text.  So the previous document
 * is no longer shown once a client may have had newer text of the service.  A
 * client whose If-None-Match names another document gets none either: that one
 * may be newer.
 */

static ngx_int_t
ngx_http_punit_document_previous(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_grid_value_t *document)
{
    ngx_str_t                    etag, type, body;
    ngx_table_elt_t             *h;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (!ngx_http_punit_generation_unseen(ngx_http_punit_zone(pmcf),
                                          &ctx->grid.service, document->flags)
        || ngx_http_punit_grid_value_document(&document->data, &etag, &type,
                                              &body)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* nginx refuses a request with a second line of it. */

    h = r->headers_in.if_none_match;

    if (h && !ngx_http_punit_syntax_etag(&h->value, &etag)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_document_send(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_str_t         etag, body;
    ngx_chain_t       out;
    ngx_table_elt_t  *h;

    if (ngx_http_punit_grid_value_document(&ctx->grid.document, &etag,
                                           &r->headers_out.content_type, &body)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "grid entry of \"%V\" is not a document", &r->uri);
        ngx_str_null(&r->headers_out.content_type);
        return NGX_DECLINED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_GRID;
    ctx->step = NGX_HTTP_PUNIT_STEP_SENT;

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = body.len;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    ngx_str_set(&h->key, "ETag");
    h->value = etag;
    r->headers_out.etag = h;

    /* nginx answers If-None-Match with 304 in a filter of its own. */

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_DONE;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = (body.len != 0);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;
    b->sync = (body.len == 0 && r != r->main);

    out.buf = b;
    out.next = NULL;

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));

    return NGX_DONE;
}
