
/*
 * Handles upstream answers that must be routed again: 421 (another unit is the
 * owner), 502 and 504.  The named locations send them here by
 *
 *     error_page 421 = @punit_follow;  recursive_error_pages on;
 *
 * A 421 did nothing, so the request is replayed.  Each try is a unit that was
 * not tried yet, or one named with a higher epoch.  Anything else is a loop:
 * 508.  A higher epoch is a hand-over that took place, or was abandoned, in
 * the meantime, so there may be more tries than units.  After
 * NGX_HTTP_PUNIT_HANDOVERS more tries the user is handed over faster than the
 * module can follow: 503.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_follow.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


static ngx_int_t ngx_http_punit_follow_unreachable(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_uint_t status);
static ngx_uint_t ngx_http_punit_follow_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_punit_follow_owner(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_follow_back(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* The status of an upstream that was not looked at yet; 0: there is none. */

ngx_uint_t
ngx_http_punit_follow_status(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u == NULL || u == ctx->route.upstream) {
        return 0;
    }

    /* No state: the name of the upstream could not be resolved. */

    if (u->state == NULL || u->state->status == 0) {
        return NGX_HTTP_BAD_GATEWAY;
    }

    return u->state->status;
}


/*
 * NGX_OK: there is a new route, steps go on from ctx->step; else the answer.
 */

ngx_int_t
ngx_http_punit_follow(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t  rc;

    ctx->route.upstream = r->upstream;

    /* Without "=" in error_page the response would keep the status. */

    r->err_status = 0;

    /* Each try costs two redirects; the number of units limits the tries. */

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

        /* A real response is never replayed. */

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

    if (ctx->route.type != NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        return status;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    peer = ngx_http_punit_peer(pmcf, &ctx->route.unit);

    (void) ngx_atomic_fetch_add(&peer->node->unreachable, 1);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "unit \"%V\" is unreachable (%ui)", &ctx->route.unit,
                  status);

    return ngx_http_punit_route_lost(r, ctx, NGX_HTTP_PUNIT_UNIT_UNREACHABLE,
                                     ngx_http_punit_follow_again(r));
}


/* May it be sent again, though the unit may have done it?  RFC 9110, 9.2.2. */

static ngx_uint_t
ngx_http_punit_follow_again(ngx_http_request_t *r)
{
    if (!r->upstream->request_sent
        || (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_PUT
                         |NGX_HTTP_DELETE)))
    {
        return 1;
    }

    /* The record of the key moves with the user. */

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

    ngx_http_punit_counter_add(r, followed);

    if (ctx->route.type == NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        peer = ngx_http_punit_peer(pmcf, &ctx->route.unit);
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

    /* nginx itself also answers 421, and such a response names no unit. */

    if (h == NULL
        || ngx_http_punit_syntax_owner(&h->value, &id, &epoch) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 without a valid Punit-Owner",
                      &ctx->route.unit);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_BAD_OWNER, NULL);
    }

    unit = ngx_http_punit_peer_unit(pmcf, &id);

    if (unit == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\", which is "
                      "no peer", &ctx->route.unit, &id);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_BAD_OWNER, NULL);
    }

    if (!author && ctx->token.user
        && ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_USER)
    {
        ctx->route.refused = 1;
        ngx_http_punit_owner_learn(ngx_http_punit_zone(pmcf),
                                   &ctx->token.claims.user, unit, epoch, 0);
    }

    if (ctx->route.lost
        && (unit->data == ctx->route.lost_unit.data
            || ngx_http_punit_route_tried(ctx, unit, epoch)))
    {
        /*
         * No loop: this unit was asked because the other one cannot be asked,
         * and knows no better.
         */

        ctx->route.unit = ctx->route.lost_unit;

        return ngx_http_punit_route_lost(r, ctx, ctx->route.lost, 0);
    }

    if (ngx_http_punit_route_tried(ctx, unit, epoch)) {
        ngx_http_punit_counter_add(r, looped);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\" with epoch "
                      "%uL, which was tried; tries: %ui",
                      &ctx->route.unit, unit, epoch, ctx->route.ntries);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_LOOP,
                                      "no unit takes the request");
    }

    if (ctx->route.ntries > pmcf->peers.nelts + NGX_HTTP_PUNIT_HANDOVERS) {
        ngx_http_punit_counter_add(r, outrun);

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "unit \"%V\" answered 421 and named \"%V\" with epoch "
                      "%uL, not followed after %ui tries",
                      &ctx->route.unit, unit, epoch, ctx->route.ntries);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_MOVING, NULL);
    }

    ctx->route.author = author;

    return ngx_http_punit_route_to(r, ctx, unit, epoch, "followed");
}


/* A peer asked: its edge follows, so it gets the headers without a body. */

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

        if (h && ngx_http_punit_header_add(r, (char *) names[i].data,
                                           names[i].len, &h->value)
                 != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return NGX_HTTP_MISDIRECTED_REQUEST;
}
