
/*
 * The route: which unit, and by which named location.  Who owns a user: the
 * owner cache, else the token's unit, else the hint, else this unit is asked.
 * All of these are hints; the owner's database is the truth.
 */


#include "ngx_http_punit_module.h"


static ngx_str_t *ngx_http_punit_route_hint(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, uint64_t *epoch, const char **why);
static ngx_int_t ngx_http_punit_route_peer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
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
        if (ngx_http_punit_grid_text(r, ctx) == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->lookup = (plcf->grid != NULL && ctx->grid_text.len != 0);
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


/* what a peer sends is answered here or not at all: forwarding never nests */

static ngx_int_t
ngx_http_punit_route_peer(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    uint64_t                     epoch;
    ngx_str_t                    unit;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[NGX_HTTP_PUNIT_ID_MAX];

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (!ctx->user || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER) {
        return ngx_http_punit_route_to(r, ctx, &pmcf->unit, ctx->epoch,
                                       "peer");
    }

    zone = ngx_http_punit_zone(pmcf);

    ngx_http_punit_owner_forwarded(zone, &ctx->claims.user);

    unit.data = buf;

    if (ngx_http_punit_owner_get(zone, &ctx->claims.user, &unit, &epoch)
        == NGX_OK
        && epoch >= ctx->epoch
        && ngx_http_punit_unit(pmcf, &unit) == &pmcf->unit)
    {
        ctx->epoch = epoch;
        ctx->cached = 1;
    }

    if (ctx->claims.epoch > ctx->epoch
        && ngx_http_punit_unit(pmcf, &ctx->claims.unit) == &pmcf->unit)
    {
        /* newer than the cache */
        ctx->epoch = ctx->claims.epoch;
        ctx->cached = 0;
    }

    return ngx_http_punit_route_to(r, ctx, &pmcf->unit, ctx->epoch, "peer");
}


static ngx_int_t
ngx_http_punit_route_user(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    uint64_t                     epoch, known;
    ngx_str_t                    unit, *owner, *hint;
    const char                  *why;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;
    u_char                       buf[NGX_HTTP_PUNIT_ID_MAX];

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    why = "ask";
    epoch = 0;

    hint = ngx_http_punit_route_hint(r, ctx, &epoch, &why);

    unit.data = buf;

    if (ngx_http_punit_owner_get(zone, &ctx->claims.user, &unit, &known)
        == NGX_OK)
    {
        owner = ngx_http_punit_unit(pmcf, &unit);

        /* a token with a higher epoch is the newer knowledge */

        if (owner && (hint == NULL || known >= epoch)) {
            hint = owner;
            epoch = known;
            why = "cache";
            ctx->cached = 1;
        }
    }

    if (hint == NULL) {
        hint = &pmcf->unit;
    }

    return ngx_http_punit_route_to(r, ctx, hint, epoch, why);
}


/* the first source of punit_unit_from that names a unit we know */

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
                unit = ngx_http_punit_unit(pmcf, &ctx->claims.unit);

                if (unit) {
                    *epoch = ctx->claims.epoch;
                    *why = "claim";
                    return unit;
                }

                continue;
            }

            if (ngx_http_punit_claim(r->pool, &ctx->claims, &source[i].name,
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

        unit = ngx_http_punit_unit(pmcf, &value);

        if (unit) {
            return unit;
        }
    }

    *why = "ask";

    return NULL;
}


/* unit: a text of the configuration.  NGX_OK, or the answer */

ngx_int_t
ngx_http_punit_route_to(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch, const char *why)
{
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ctx->unit = *unit;
    ctx->epoch = epoch;
    ctx->why = why;

    if (unit == &pmcf->unit) {
        ctx->route = NGX_HTTP_PUNIT_ROUTE_LOCAL;
        ctx->target = &plcf->local;
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

    ctx->route = NGX_HTTP_PUNIT_ROUTE_FORWARD;
    ctx->target = &plcf->forward;

    return NGX_OK;
}


/*
 * The unit ctx->unit cannot be asked.  That it is the owner was read in a
 * cache or a token; this unit's own database may know better, and be the
 * owner, so it is asked first (if the request may be sent again, and unless it
 * was asked already).  Then comes the copy here, if that may be shown.
 * NGX_OK, or the answer
 */

ngx_int_t
ngx_http_punit_route_lost(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_problem_e problem, ngx_uint_t again)
{
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (again && plcf->scope == NGX_HTTP_PUNIT_SCOPE_USER && !ctx->author
        && ctx->lost == NGX_HTTP_PUNIT_NO_PROBLEM
        && !ngx_http_punit_was_tried(ctx, &pmcf->unit, 0))
    {
        ctx->lost = problem;
        ctx->lost_unit = ctx->unit;

        /* no epoch: the worker is not to wait for a hand-over */

        return ngx_http_punit_route_to(r, ctx, &pmcf->unit, 0, "lost");
    }

    if ((problem == NGX_HTTP_PUNIT_UNIT_DOWN
         || plcf->stale == NGX_HTTP_PUNIT_STALE_UNREACHABLE)
        && ngx_http_punit_route_stale(r, ctx) == NGX_OK)
    {
        return NGX_OK;
    }

    return ngx_http_punit_refuse(r, ctx, problem, NULL);
}


/* the local copy of a user whose owner cannot be asked, if that may be shown;
   NGX_DECLINED: it may not */

ngx_int_t
ngx_http_punit_route_stale(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_http_punit_loc_conf_t  *plcf;

    plcf = ctx->plcf;

    if (plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || plcf->stale == NGX_HTTP_PUNIT_STALE_OFF
        || ctx->author || ctx->stale_tried
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        return NGX_DECLINED;
    }

    /* no epoch: the worker is not to wait for a hand-over */

    ctx->stale_tried = 1;
    ctx->epoch = 0;
    ctx->route = NGX_HTTP_PUNIT_ROUTE_STALE;
    ctx->target = &plcf->local;

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_precontent_handler(ngx_http_request_t *r)
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

    if (ctx->lookup) {
        rc = ngx_http_punit_document_handler(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        ctx->lookup = 0;
    }

    ctx->step = NGX_HTTP_PUNIT_STEP_SENT;

    if (ctx->route == NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
        peer = ngx_http_punit_peer(pmcf, &ctx->unit);

        (void) ngx_atomic_fetch_add(&peer->node->forwarded, 1);
    }

    if (ctx->route != NGX_HTTP_PUNIT_ROUTE_STALE
        && ngx_http_punit_try(r, ctx, &ctx->unit, ctx->epoch) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_http_named_location(r, ctx->target);
    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}
