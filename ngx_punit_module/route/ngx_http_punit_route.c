
/*
 * The route: which unit, and by which named location.  The owner of a user
 * comes from the owner cache, else from the token, else from the hint, else
 * this unit is asked.  All of these are hints; the database of the owner is
 * the truth.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_document.h>
#include <ngx_http_punit_document_key.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_named_claim.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


static ngx_str_t *ngx_http_punit_route_hint(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, uint64_t *epoch, const char **why);
static ngx_int_t ngx_http_punit_route_peer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_route_stale(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_route_try(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *unit, uint64_t epoch);
static ngx_int_t ngx_http_punit_route_user(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


ngx_str_t  ngx_http_punit_route_names[NGX_HTTP_PUNIT_ROUTES] = {
    ngx_null_string,
    ngx_string("grid"),
    ngx_string("local"),
    ngx_string("forward"),
    ngx_string("stale"),
    ngx_string("refuse")
};


ngx_int_t
ngx_http_punit_route_step(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_REFERENCE
        && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        if (ngx_http_punit_document_key_text(r, ctx) == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->grid.lookup = (plcf->grid != NULL && ctx->grid.text.len != 0);
    }

    if (ctx->peer) {
        return ngx_http_punit_route_peer(r, ctx);
    }

    if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_USER) {
        return ngx_http_punit_route_user(r, ctx);
    }

    return ngx_http_punit_route_to(r, ctx, &pmcf->unit, 0,
                     plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC ? "public"
                                                                : "reference");
}


/* A request of a peer is answered here or refused: forwarding never nests. */

static ngx_int_t
ngx_http_punit_route_peer(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    uint64_t                     epoch;
    ngx_str_t                    unit;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[NGX_HTTP_PUNIT_UNIT_MAX];

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (!ctx->token.user || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER) {
        return ngx_http_punit_route_to(r, ctx, &pmcf->unit, ctx->route.epoch,
                                       "peer");
    }

    zone = ngx_http_punit_zone(pmcf);

    ngx_http_punit_owner_forwarded(zone, &ctx->token.claims.user);

    unit.data = buf;

    if (ngx_http_punit_owner_get(zone, &ctx->token.claims.user, &unit, &epoch)
        == NGX_OK
        && epoch >= ctx->route.epoch
        && ngx_http_punit_peer_unit(pmcf, &unit) == &pmcf->unit)
    {
        ctx->route.epoch = epoch;
        ctx->route.cached = 1;
    }

    if (ctx->token.claims.epoch > ctx->route.epoch
        && ngx_http_punit_peer_unit(pmcf,
                                    &ctx->token.claims.unit) == &pmcf->unit)
    {
        /* The token is newer than the cache. */
        ctx->route.epoch = ctx->token.claims.epoch;
        ctx->route.cached = 0;
    }

    return ngx_http_punit_route_to(r, ctx, &pmcf->unit, ctx->route.epoch,
                                   "peer");
}


static ngx_int_t
ngx_http_punit_route_user(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    uint64_t                     epoch, known;
    ngx_str_t                    unit, *owner, *hint;
    const char                  *why;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[NGX_HTTP_PUNIT_UNIT_MAX];

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    why = "ask";
    epoch = 0;

    hint = ngx_http_punit_route_hint(r, ctx, &epoch, &why);

    unit.data = buf;

    if (ngx_http_punit_owner_get(zone, &ctx->token.claims.user, &unit, &known)
        == NGX_OK)
    {
        owner = ngx_http_punit_peer_unit(pmcf, &unit);

        /* A token with a higher epoch is newer. */

        if (owner && (hint == NULL || known >= epoch)) {
            hint = owner;
            epoch = known;
            why = "cache";
            ctx->route.cached = 1;
        }
    }

    if (hint == NULL) {
        hint = &pmcf->unit;
    }

    return ngx_http_punit_route_to(r, ctx, hint, epoch, why);
}


/* The first source of punit_unit_from that names a known unit. */

static ngx_str_t *
ngx_http_punit_route_hint(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    uint64_t *epoch, const char **why)
{
    ngx_str_t                    value, *unit;
    ngx_uint_t                   i;
    ngx_array_t                 *sources;
    ngx_table_elt_t             *h;
    ngx_http_punit_source_t     *source;
    ngx_http_punit_main_conf_t  *pmcf;

    sources = ctx->plcf->unit_from;

    if (sources == NULL) {
        return NULL;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    source = sources->elts;

    for (i = 0; i < sources->nelts; i++) {

        if (source[i].type == NGX_HTTP_PUNIT_CLAIM) {

            if (source[i].name.len == sizeof("unit") - 1
                && ngx_strncmp(source[i].name.data, "unit",
                               sizeof("unit") - 1)
                   == 0)
            {
                unit = ngx_http_punit_peer_unit(pmcf, &ctx->token.claims.unit);

                if (unit) {
                    *epoch = ctx->token.claims.epoch;
                    *why = "claim";
                    return unit;
                }

                continue;
            }

            if (ngx_http_punit_named_claim(r->pool, &ctx->token.claims,
                                           &source[i].name,
                                           &value)
                != NGX_OK)
            {
                continue;
            }

            *why = "claim";

        } else {
            h = ngx_http_punit_header(&r->headers_in.headers,
                                      (char *) source[i].name.data,
                                      source[i].name.len);
            if (h == NULL) {
                continue;
            }

            value = h->value;
            *why = "hint";
        }

        unit = ngx_http_punit_peer_unit(pmcf, &value);

        if (unit) {
            return unit;
        }
    }

    *why = "ask";

    return NULL;
}


/* unit is a text of the configuration.  NGX_OK, or the answer. */

ngx_int_t
ngx_http_punit_route_to(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch, const char *why)
{
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ctx->route.unit = *unit;
    ctx->route.epoch = epoch;
    ctx->route.why = why;

    if (unit == &pmcf->unit) {
        ctx->route.type = NGX_HTTP_PUNIT_ROUTE_LOCAL;
        ctx->route.target = &plcf->local;
        return NGX_OK;
    }

    peer = ngx_http_punit_peer(pmcf, unit);

    if (peer->node->down) {
        return ngx_http_punit_route_lost(r, ctx, NGX_HTTP_PUNIT_UNIT_DOWN, 1);
    }

    if (plcf->forward.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no punit_forward here to reach unit \"%V\"", unit);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_FORWARD;
    ctx->route.target = &plcf->forward;

    return NGX_OK;
}


/*
 * A cache or a token named the lost unit as the owner.  The database of this
 * unit may know better, or be the owner, so it is asked first, if the request
 * may be sent again and unless it was asked already.  Then comes the copy
 * here, if it may be shown.
 */

ngx_int_t
ngx_http_punit_route_lost(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_problem_e problem, ngx_uint_t again)
{
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (again && plcf->scope == NGX_HTTP_PUNIT_SCOPE_USER && !ctx->route.author
        && ctx->route.lost == NGX_HTTP_PUNIT_NO_PROBLEM
        && !ngx_http_punit_route_tried(ctx, &pmcf->unit, 0))
    {
        ctx->route.lost = problem;
        ctx->route.lost_unit = ctx->route.unit;

        /* No epoch: the worker must not wait for a hand-over. */

        return ngx_http_punit_route_to(r, ctx, &pmcf->unit, 0, "lost");
    }

    if ((problem == NGX_HTTP_PUNIT_UNIT_DOWN
         || plcf->stale == NGX_HTTP_PUNIT_STALE_UNREACHABLE)
        && ngx_http_punit_route_stale(r, ctx) == NGX_OK)
    {
        return NGX_OK;
    }

    return ngx_http_punit_problem(r, ctx, problem, NULL);
}


/*
 * The local copy of a user whose owner cannot be asked, if it may be shown.
 * NGX_DECLINED: it may not.
 */

static ngx_int_t
ngx_http_punit_route_stale(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_http_punit_loc_conf_t  *plcf;

    plcf = ctx->plcf;

    if (plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || plcf->stale == NGX_HTTP_PUNIT_STALE_OFF
        || ctx->route.author || ctx->route.stale_tried
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        return NGX_DECLINED;
    }

    /* No epoch: the worker must not wait for a hand-over. */

    ctx->route.stale_tried = 1;
    ctx->route.epoch = 0;
    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_STALE;
    ctx->route.target = &plcf->local;

    return NGX_OK;
}


ngx_uint_t
ngx_http_punit_route_tried(ngx_http_punit_ctx_t *ctx, ngx_str_t *unit,
    uint64_t epoch)
{
    ngx_uint_t  i;

    for (i = 0; i < ctx->route.ntries; i++) {
        if (ctx->route.tries[i].unit.data == unit->data
            && ctx->route.tries[i].epoch >= epoch)
        {
            return 1;
        }
    }

    return 0;
}


/* Notes where the request is sent; NGX_OK or NGX_ERROR. */

static ngx_int_t
ngx_http_punit_route_try(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch)
{
    ngx_uint_t                   most;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    /* All that may be followed, and this unit in place of a lost one. */

    most = pmcf->peers.nelts + 1 + NGX_HTTP_PUNIT_HANDOVERS + 1;

    if (ctx->route.tries == NULL) {
        ctx->route.tries = ngx_palloc(r->pool,
                                  most * sizeof(ngx_http_punit_route_try_t));
        if (ctx->route.tries == NULL) {
            return NGX_ERROR;
        }
    }

    if (ctx->route.ntries == most) {
        return NGX_ERROR;
    }

    ctx->route.tries[ctx->route.ntries].unit = *unit;
    ctx->route.tries[ctx->route.ntries].epoch = epoch;
    ctx->route.ntries++;

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_route_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_punit_ctx_t        *ctx;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);

    if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL || ctx->step != NGX_HTTP_PUNIT_STEP_DECIDED) {
        return NGX_DECLINED;
    }

    if (ctx->waiting) {
        return NGX_AGAIN;
    }

    if (ctx->grid.lookup) {
        rc = ngx_http_punit_document_handler(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        ctx->grid.lookup = 0;
    }

    ctx->step = NGX_HTTP_PUNIT_STEP_SENT;

    if (ctx->route.type == NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
        peer = ngx_http_punit_peer(pmcf, &ctx->route.unit);

        (void) ngx_atomic_fetch_add(&peer->node->forwarded, 1);
    }

    if (ctx->route.type != NGX_HTTP_PUNIT_ROUTE_STALE
        && ngx_http_punit_route_try(r, ctx, &ctx->route.unit,
                                    ctx->route.epoch) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_http_named_location(r, ctx->route.target);
    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}
