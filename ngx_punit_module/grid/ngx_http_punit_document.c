
/*
 * The grid route: reference data from memcached.  One round trip brings the
 * document and, unless it was asked for within the last milliseconds, the
 * service's generation; a document of another generation is a miss.  Of one
 * that is in the near cache only the generation is asked for.  At a miss one
 * request refills.  Others get the previous document while that refill runs,
 * for punit_grid_stale at most, or else wait for it, so that a change or a
 * flush of memcached costs PostgreSQL one statement a document.
 */


#include "ngx_http_punit_module.h"


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


/* NGX_AGAIN: waits; NGX_DONE: answered; NGX_DECLINED: go on to the worker */

ngx_int_t
ngx_http_punit_document_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->looked) {

        if (ctx->document.data == NULL) {
            return NGX_DECLINED;
        }

        return ngx_http_punit_document_send(r, ctx);
    }

    ctx->looked = 1;
    ctx->asked = ngx_current_msec;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (ngx_http_punit_generation_get(ngx_http_punit_zone(pmcf),
                                      &ctx->service, &ctx->generation)
        == NGX_OK)
    {
        if (pmcf->near && ngx_http_punit_near_get(r, ctx) == NGX_OK) {
            ngx_http_punit_count(r, grid_near);
            return ngx_http_punit_document_send(r, ctx);
        }

        if (ngx_http_punit_grid_key(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_punit_grid_get(ctx->plcf->grid, r, &ctx->grid_key, 1,
                                     ngx_http_punit_document_found, ctx);
    } else {
        rc = ngx_http_punit_document_ask(r, ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_punit_count(r, grid_failed);
        return NGX_DECLINED;
    }

    ngx_http_punit_wait(r, ctx);

    return NGX_AGAIN;
}


/* for the generation, and for the document unless it is near */

static ngx_int_t
ngx_http_punit_document_ask(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    ngx_str_t                    keys[2];
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[sizeof("punit:gen:")
                                     + NGX_HTTP_PUNIT_ID_MAX];

    p = ngx_cpymem(buf, "punit:gen:", sizeof("punit:gen:") - 1);
    p = ngx_cpymem(p, ctx->service.data, ctx->service.len);

    keys[0].data = buf;
    keys[0].len = p - buf;

    ctx->generation = 0;
    ctx->asked = ngx_current_msec;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (pmcf->near && ngx_http_punit_near_find(ctx) == NGX_OK) {
        return ngx_http_punit_grid_get(ctx->plcf->grid, r, keys, 1,
                                       ngx_http_punit_document_confirmed, ctx);
    }

    if (ngx_http_punit_grid_key(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    keys[1] = ctx->grid_key;

    return ngx_http_punit_grid_get(ctx->plcf->grid, r, keys, 2,
                                   ngx_http_punit_document_found, ctx);
}


/* the generation alone was asked for */

static void
ngx_http_punit_document_confirmed(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    if (!values[0].known) {
        ngx_http_punit_count(r, grid_failed);

    } else if (ngx_http_punit_document_of(r, ctx, &values[0]) != NGX_OK) {

        if (ngx_http_punit_document_miss(r, ctx, NULL) == NGX_AGAIN) {
            return;
        }

    } else if (ngx_http_punit_near_get(r, ctx) == NGX_OK) {
        ngx_http_punit_count(r, grid_near);

    } else if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
        /* it is of another generation, and so it is near no longer */
        return;

    } else {
        ngx_http_punit_count(r, grid_failed);
    }

    ngx_http_punit_resume(r, ctx);
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
        ngx_http_punit_count(r, grid_failed);
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

    if (document->flags == ctx->generation) {
        ctx->document = document->data;
        ngx_http_punit_near_keep(r, ctx);
        ngx_http_punit_count(r, grid_hits);
        goto done;
    }

    if (n == 1) {

        /* one of the two is of before a change: which one? */

        if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
            return;
        }

        ngx_http_punit_count(r, grid_failed);
        goto done;
    }

    previous = document;

miss:

    if (ngx_http_punit_document_miss(r, ctx, previous) == NGX_AGAIN) {
        return;
    }

done:

    ngx_http_punit_resume(r, ctx);
}


/*
 * NGX_DECLINED: this request goes to the worker, as the one that refills or
 * because waiting is of no use; NGX_OK: it gets the previous document;
 * NGX_AGAIN: it waits for the refill that runs, and asks the grid again.
 */

static ngx_int_t
ngx_http_punit_document_miss(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_grid_value_t *previous)
{
    uint32_t                     hash;
    ngx_int_t                    rc;
    ngx_msec_t                   since;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    hash = ngx_crc32_short(ctx->grid_text.data, ctx->grid_text.len);

    if (hash == 0) {
        hash = 1;
    }

    rc = ngx_http_punit_refill_claim(ngx_http_punit_zone(pmcf), hash,
                                     ctx->asked, &since);

    if (rc == NGX_AGAIN && !ctx->waited) {
        ctx->waited = 1;

        if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    if (rc == NGX_OK) {
        ctx->refill = hash;
    }

    if (rc == NGX_BUSY && previous && since < ctx->plcf->grid_stale
        && ngx_http_punit_document_previous(r, ctx, previous) == NGX_OK)
    {
        ctx->document = previous->data;
        ngx_http_punit_count(r, grid_stale);
        return NGX_OK;
    }

    if (rc == NGX_BUSY && !ctx->waited
        && ngx_http_punit_refill_wait(r, ctx, hash,
                                      ngx_http_punit_document_refilled)
           == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    ngx_http_punit_count(r, grid_misses);

    return NGX_DECLINED;
}


/*
 * NGX_OK: the worker has answered.  If the document is not in the grid now, it
 * is none that is kept there (an error, too large): the next ones must not
 * queue up for it.  NGX_BUSY: the time is up.  NGX_DECLINED: who refilled is
 * gone, and another one has to.
 */

static void
ngx_http_punit_document_refilled(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_int_t rc)
{
    ctx->waited = (rc != NGX_DECLINED);

    ngx_http_punit_count(r, grid_waited);

    if (ngx_http_punit_document_ask(r, ctx) == NGX_AGAIN) {
        return;
    }

    ngx_http_punit_count(r, grid_failed);

    ngx_http_punit_resume(r, ctx);
}


/* learns the generation.  NGX_OK; NGX_DECLINED: there is none */

static ngx_int_t
ngx_http_punit_document_of(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_grid_value_t *value)
{
    ngx_http_punit_main_conf_t  *pmcf;

    ctx->generation = value->found
                      ? ngx_http_punit_entry_generation(&value->data) : 0;

    if (ctx->generation == 0) {
        return NGX_DECLINED;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ngx_http_punit_generation_keep(ngx_http_punit_zone(pmcf), &ctx->service,
                                   ctx->generation, ctx->asked);
    return NGX_OK;
}


/* a worker raises the generation before it answers to a change, and before it
   answers with something newer than the grid's: who has seen such an answer
   must not be told of the time before it.  What it refilled is in the grid */

void
ngx_http_punit_document_answered(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                    service;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->plcf->grid == NULL
        || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_REFERENCE
        || (ctx->route != NGX_HTTP_PUNIT_ROUTE_LOCAL
            && ctx->route != NGX_HTTP_PUNIT_ROUTE_FORWARD)
        || ngx_http_punit_grid_service(r, &service) != NGX_OK)
    {
        return;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ngx_http_punit_generation_drop(ngx_http_punit_zone(pmcf), &service);

    if (ctx->refill) {
        ngx_http_punit_refill_done(ngx_http_punit_zone(pmcf), ctx->refill, 1);
        ctx->refill = 0;
    }
}


/*
 * The previous document is for nobody once anybody may have had something
 * newer of the service: a unit shows no older text after a newer one, and who
 * changed it reads it.  Nor is it for a client whose If-None-Match names
 * anything but it: he has had another one, which may be the newer one.
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
                                          &ctx->service, document->flags)
        || ngx_http_punit_entry_document(&document->data, &etag, &type, &body)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* nginx refuses a second line of it */

    h = r->headers_in.if_none_match;

    if (h && !ngx_http_punit_field_etag(&h->value, &etag)) {
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

    if (ngx_http_punit_entry_document(&ctx->document, &etag,
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

    ctx->route = NGX_HTTP_PUNIT_ROUTE_GRID;
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

    /* nginx's own filter answers If-None-Match with 304 */

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
