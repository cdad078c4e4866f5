
/*
 * The header filter.  Headers that units use among themselves do not leave
 * them.  What a peer says of itself is replaced by what this unit knows.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_cors.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_document.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_request_id.h>
#include <ngx_http_punit_response_headers.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>
#include <ngx_http_punit_verdict.h>


static ngx_int_t ngx_http_punit_response_headers_filter(ngx_http_request_t *r);
static void ngx_http_punit_response_headers_owner(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_punit_response_headers_clean(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_uint_t ngx_http_punit_response_headers_token(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *token);
static ngx_int_t ngx_http_punit_response_headers_set(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_response_headers_caches(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


ngx_int_t
ngx_http_punit_response_headers_init(ngx_conf_t *cf)
{
    ngx_str_t                    name = ngx_string("request_id");
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    pmcf->request_id = ngx_http_get_variable_index(cf, &name);
    if (pmcf->request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_punit_response_headers_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_response_headers_filter(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t       *ctx;
    ngx_http_punit_loc_conf_t  *plcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL) {
        plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);

        if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_OFF) {
            return ngx_http_next_header_filter(r);
        }
    }

    if (ngx_http_punit_problem_replace(r, &ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx == NULL) {
        ctx = ngx_http_punit_ctx_create_answered(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    if (ctx->plcf == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ngx_http_punit_response_headers_clean(r, ctx);
    ngx_http_punit_document_answered(r, ctx);

    if (ngx_http_punit_response_headers_set(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->peer) {

        if (r->headers_out.status == NGX_HTTP_MISDIRECTED_REQUEST) {

            /* A body would cost the edge its kept connection. */

            ngx_http_clear_content_length(r);
            r->headers_out.content_length_n = 0;
            r->headers_out.content_type.len = 0;
            r->header_only = 1;
        }

    } else if (ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_OFF
               && ngx_http_punit_cors_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* Hides headers that the client must not see, and learns from them. */

static void
ngx_http_punit_response_headers_clean(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    u_char                       *p;
    size_t                        len;
    ngx_uint_t                    token;
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter = { NULL, &r->headers_out.headers.part,
    0 };

    token = 0;

    while ((h = ngx_http_punit_header_next(&iter))) {

        if (h->hash == 0) {
            continue;
        }

        p = h->key.data;
        len = h->key.len;

        if (len == sizeof("x-request-id") - 1
            && ngx_strncasecmp(p, (u_char *) "x-request-id", len) == 0)
        {
            h->hash = 0;
            continue;
        }

        if (len < 6 || ngx_strncasecmp(p, (u_char *) "punit-", 6) != 0) {
            continue;
        }

        p += 6;
        len -= 6;

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "owner", 5) == 0) {

            ngx_http_punit_response_headers_owner(r, ctx, &h->value);

            if (!ctx->peer) {
                h->hash = 0;
            }

            continue;
        }

        if (len == 6 && ngx_strncasecmp(p, (u_char *) "author", 6) == 0
            && ctx->peer)
        {
            continue;
        }

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "stale", 5) == 0
            && ctx->route.type == NGX_HTTP_PUNIT_ROUTE_STALE)
        {
            continue;
        }

        /* The unit that serves the user made it, for the client. */

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "token", 5) == 0
            && ctx->route.type == NGX_HTTP_PUNIT_ROUTE_FORWARD && !token
            && ngx_http_punit_response_headers_token(r, ctx, &h->value))
        {
            token = 1;
            continue;
        }

        h->hash = 0;
    }
}


/* A peer's token reaches a client only if this unit takes it from the user. */

static ngx_uint_t
ngx_http_punit_response_headers_token(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *token)
{
    ngx_int_t                    rc;
    const char                  *reason;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_claims_t      claims;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (pmcf->keys == NULL || !ctx->token.user) {
        return 0;
    }

    zone = ngx_http_punit_zone(pmcf);

    rc = ngx_http_punit_verdict(r->pool, zone->sh->verdict_cache, zone->shpool,
                                NULL, pmcf->keys, &ctx->plcf->policy, token,
                                &claims, &reason);

    if (rc == NGX_OK
        && claims.user.len == ctx->token.claims.user.len
        && ngx_memcmp(claims.user.data, ctx->token.claims.user.data,
                      claims.user.len)
           == 0)
    {
        ctx->token.given = 1;
        return 1;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "Punit-Token of peer \"%V\" is dropped: %s",
                  &ctx->route.unit, rc == NGX_OK ? "another user" : reason);

    return 0;
}


/* Punit-Owner without 421: the unit says that it is the owner itself. */

static void
ngx_http_punit_response_headers_owner(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx,
    ngx_str_t *value)
{
    uint64_t                     epoch;
    ngx_str_t                    id, *unit;
    ngx_http_punit_main_conf_t  *pmcf;

    if (!ctx->token.user || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || (ctx->route.type != NGX_HTTP_PUNIT_ROUTE_LOCAL
            && ctx->route.type != NGX_HTTP_PUNIT_ROUTE_FORWARD)
        || ngx_http_punit_syntax_owner(value, &id, &epoch) != NGX_OK)
    {
        return;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    unit = ngx_http_punit_peer_unit(pmcf, &id);

    if (unit == NULL || unit->data != ctx->route.unit.data) {
        return;
    }

    if (ctx->route.cached && ctx->route.ntries == 1
        && epoch == ctx->route.epoch)
    {
        /* The cache has it already. */
        return;
    }

    ngx_http_punit_owner_learn(ngx_http_punit_zone(pmcf),
                               &ctx->token.claims.user,
                               unit, epoch, ctx->route.refused);
}


/*
 * A refused login or registration looks the same wherever the user of the
 * name is: without the password a client must not learn that there is one.
 */

static ngx_uint_t
ngx_http_punit_response_headers_stranger(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    return ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC
           && !ctx->token.user
           && r->headers_out.status >= NGX_HTTP_BAD_REQUEST;
}


static ngx_int_t
ngx_http_punit_response_headers_set(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                   *unit, *route, *id;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    unit = &pmcf->unit;
    route = &ngx_http_punit_route_names[ctx->route.type];

    if (ctx->route.type == NGX_HTTP_PUNIT_ROUTE_FORWARD) {

        if (ngx_http_punit_response_headers_stranger(r, ctx)) {
            route = &ngx_http_punit_route_names[NGX_HTTP_PUNIT_ROUTE_LOCAL];

        } else {
            unit = &ctx->route.unit;
        }
    }

    if (ngx_http_punit_header_add(r, "Punit-Unit", sizeof("Punit-Unit") - 1,
                                  unit)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (route->len && ctx->route.type != NGX_HTTP_PUNIT_ROUTE_REFUSE
        && ngx_http_punit_header_add(r, "Punit-Route",
                                     sizeof("Punit-Route") - 1, route)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    id = ngx_http_punit_request_id(ctx);

    if (id == NULL
        || ngx_http_punit_header_add(r, "X-Request-Id",
                                     sizeof("X-Request-Id") - 1, id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->token.reissued.len
        && ctx->route.type == NGX_HTTP_PUNIT_ROUTE_LOCAL
        && r->headers_out.status != NGX_HTTP_MISDIRECTED_REQUEST)
    {
        ctx->token.given = 1;

        if (ngx_http_punit_header_add(r, "Punit-Token",
                                      sizeof("Punit-Token") - 1,
                                      &ctx->token.reissued)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_punit_response_headers_caches(r, ctx);
}


/*
 * Nobody keeps an answer with a token.  What is a user's is for that user
 * alone: a client may keep it, and asks each time whether it is still so.
 * Without an entity tag there is no such question.
 */

static ngx_int_t
ngx_http_punit_response_headers_caches(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                     value;
    ngx_uint_t                    etag, told;
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter = { NULL, &r->headers_out.headers.part,
    0 };

    if (ctx->peer) {
        /* The unit that the client talks to says it. */
        return NGX_OK;
    }

    ngx_str_set(&value, "nosniff");

    if (ngx_http_punit_header_add(r, "X-Content-Type-Options",
                                  sizeof("X-Content-Type-Options") - 1,
                                  &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ctx->token.given
        && ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_REFERENCE)
    {
        return NGX_OK;
    }

    etag = 0;
    told = 0;

    while ((h = ngx_http_punit_header_next(&iter))) {

        if (h->hash == 0) {
            continue;
        }

        if (h->key.len == sizeof("ETag") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "ETag", h->key.len)
               == 0)
        {
            etag = 1;
        }

        if (h->key.len == sizeof("Cache-Control") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "Cache-Control",
                               h->key.len)
               == 0)
        {
            if (ctx->token.given) {
                h->hash = 0;

            } else {
                told = 1;
            }
        }
    }

    if (told) {
        return NGX_OK;
    }

    if (etag && !ctx->token.given) {
        ngx_str_set(&value, "private, no-cache");

    } else {
        ngx_str_set(&value, "no-store");
    }

    return ngx_http_punit_header_add(r, "Cache-Control",
                                     sizeof("Cache-Control") - 1, &value);
}
