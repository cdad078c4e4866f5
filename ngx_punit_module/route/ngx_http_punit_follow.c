
/*
 * After an answer that is none: 421 (not mine, go there), 502 and 504.  The
 * named locations send these here by
 *
 *     error_page 421 = @punit_follow;  recursive_error_pages on;
 *
 * A 421 did nothing, so the request is replayed: each try is a unit not yet
 * tried or one named with a higher epoch.  Another one is a circle: 508.  A
 * higher epoch is a hand-over that took place, or was given up, meanwhile, so
 * there may be more tries than units; if HANDOVERS more are used up and this
 * one too led on, he is being handed over faster than he can be followed: 503.
 */


#include "ngx_http_punit_module.h"


/* tries beyond as many as there are units; a hand-over that is given up takes
   two, there and back */

#define NGX_HTTP_PUNIT_HANDOVERS  8


static ngx_int_t ngx_http_punit_follow_unreachable(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_uint_t status);
static ngx_uint_t ngx_http_punit_follow_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_punit_follow_owner(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_follow_back(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* the status of an upstream that has not been looked at yet; 0: there is
   none */

ngx_uint_t
ngx_http_punit_follow_status(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u == NULL || u == ctx->upstream) {
        return 0;
    }

    /* no state: its name could not even be resolved */

    if (u->state == NULL || u->state->status == 0) {
        return NGX_HTTP_BAD_GATEWAY;
    }

    return u->state->status;
}


/* NGX_OK: there is a new route, steps go on from ctx->step; else the answer */

ngx_int_t
ngx_http_punit_follow(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t  rc;

    ctx->upstream = r->upstream;

    /* without "=" in error_page the answer would keep the status */

    r->err_status = 0;

    /* each try costs two redirects, what bounds them is the number of units */

    r->uri_changes = NGX_HTTP_MAX_URI_CHANGES + 1;

    switch (status) {

    case NGX_HTTP_MISDIRECTED_REQUEST:

        if (ctx->peer) {
            return ngx_http_punit_follow_back(r, ctx);
        }

        rc = ngx_http_punit_follow_owner(r, ctx);
        break;

    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_GATEWAY_TIME_OUT:

        rc = ngx_http_punit_follow_unreachable(r, ctx, status);
        break;

    default:

        /* a real answer is never replayed */

        return (status >= NGX_HTTP_BAD_REQUEST) ? (ngx_int_t) status
                                                : NGX_HTTP_BAD_GATEWAY;
    }

    if (rc == NGX_OK) {
        ctx->step = NGX_HTTP_PUNIT_STEP_REISSUE;
    }

    return rc;
}


static ngx_int_t
ngx_http_punit_follow_unreachable(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_uint_t status)
{
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->route != NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        return status;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    peer = ngx_http_punit_peer(pmcf, &ctx->unit);

    (void) ngx_atomic_fetch_add(&peer->node->unreachable, 1);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "unit \"%V\" is unreachable (%ui)", &ctx->unit, status);

    return ngx_http_punit_route_lost(r, ctx, NGX_HTTP_PUNIT_UNIT_UNREACHABLE,
                                     ngx_http_punit_follow_again(r));
}


/* may it be sent again, though the unit may have done it?  RFC 9110, 9.2.2 */

static ngx_uint_t
ngx_http_punit_follow_again(ngx_http_request_t *r)
{
    if (!r->upstream->request_sent
        || (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_PUT
                         |NGX_HTTP_DELETE)))
    {
        return 1;
    }

    /* the record of it moves with the user */

    return ngx_http_punit_header(&r->headers_in.headers, "idempotency-key",
                                 sizeof("idempotency-key") - 1)
           != NULL;
}


static ngx_int_t
ngx_http_punit_follow_owner(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    uint64_t                     epoch;
    ngx_str_t                    id, *unit;
    ngx_list_t                  *headers;
    ngx_uint_t                   author;
    ngx_table_elt_t             *h;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    headers = &r->upstream->headers_in.headers;

    ngx_http_punit_count(r, followed);

    if (ctx->route == NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        peer = ngx_http_punit_peer(pmcf, &ctx->unit);
        (void) ngx_atomic_fetch_add(&peer->node->refused, 1);
    }

    author = 0;

    h = ngx_http_punit_header(headers, "punit-owner",
                              sizeof("punit-owner") - 1);

    if (h == NULL) {
        author = 1;
        h = ngx_http_punit_header(headers, "punit-author",
                                  sizeof("punit-author") - 1);
    }

    /* nginx makes 421s of its own, so one without a name is no hint */

    if (h == NULL
        || ngx_http_punit_field_owner(&h->value, &id, &epoch) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 without a valid Punit-Owner",
                      &ctx->unit);

        return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_BAD_OWNER, NULL);
    }

    unit = ngx_http_punit_unit(pmcf, &id);

    if (unit == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\", which is "
                      "no peer", &ctx->unit, &id);

        return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_BAD_OWNER, NULL);
    }

    if (!author && ctx->user
        && ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_USER)
    {
        ctx->refused = 1;
        ngx_http_punit_owner_learn(ngx_http_punit_zone(pmcf),
                                   &ctx->claims.user, unit, epoch, 0);
    }

    if (ctx->lost
        && (unit->data == ctx->lost_unit.data
            || ngx_http_punit_was_tried(ctx, unit, epoch)))
    {
        /* no circle: this unit was asked because that one cannot be, and
           knows no better */

        ctx->unit = ctx->lost_unit;

        return ngx_http_punit_route_lost(r, ctx, ctx->lost, 0);
    }

    if (ngx_http_punit_was_tried(ctx, unit, epoch)) {
        ngx_http_punit_count(r, looped);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\" with epoch "
                      "%uL, which was tried; tries: %ui",
                      &ctx->unit, unit, epoch, ctx->ntries);

        return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_LOOP,
                                     "no unit takes the request");
    }

    if (ctx->ntries > pmcf->peers.nelts + NGX_HTTP_PUNIT_HANDOVERS) {
        ngx_http_punit_count(r, outrun);

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\" with epoch "
                      "%uL, not followed after %ui tries",
                      &ctx->unit, unit, epoch, ctx->ntries);

        return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_MOVING, NULL);
    }

    ctx->author = author;

    return ngx_http_punit_route_to(r, ctx, unit, epoch, "followed");
}


/* a peer asked: its edge follows, with what the worker said, and no body */

static ngx_int_t
ngx_http_punit_follow_back(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_t       *headers;
    ngx_table_elt_t  *h;

    static ngx_str_t  names[] = {
        ngx_string("Punit-Owner"),
        ngx_string("Punit-Author")
    };

    headers = &r->upstream->headers_in.headers;

    for (i = 0; i < 2; i++) {
        h = ngx_http_punit_header(headers, (char *) names[i].data,
                                  names[i].len);

        if (h && ngx_http_punit_add_header(r, (char *) names[i].data,
                                           names[i].len, &h->value)
                 != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return NGX_HTTP_MISDIRECTED_REQUEST;
}


/* with that epoch or a higher one */

ngx_uint_t
ngx_http_punit_was_tried(ngx_http_punit_ctx_t *ctx, ngx_str_t *unit,
    uint64_t epoch)
{
    ngx_uint_t  i;

    for (i = 0; i < ctx->ntries; i++) {
        if (ctx->tries[i].unit.data == unit->data
            && ctx->tries[i].epoch >= epoch)
        {
            return 1;
        }
    }

    return 0;
}


/* notes where the request is sent; NGX_OK or NGX_ERROR */

ngx_int_t
ngx_http_punit_try(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch)
{
    ngx_uint_t                   most;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    /* what is followed, and this unit in place of a lost one */

    most = pmcf->peers.nelts + 1 + NGX_HTTP_PUNIT_HANDOVERS + 1;

    if (ctx->tries == NULL) {
        ctx->tries = ngx_palloc(r->pool, most * sizeof(ngx_http_punit_try_t));
        if (ctx->tries == NULL) {
            return NGX_ERROR;
        }
    }

    if (ctx->ntries == most) {
        return NGX_ERROR;
    }

    ctx->tries[ctx->ntries].unit = *unit;
    ctx->tries[ctx->ntries].epoch = epoch;
    ctx->ntries++;

    return NGX_OK;
}
