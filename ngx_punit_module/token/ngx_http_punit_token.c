
/*
 * The token of a request: where it is found (RFC 6750, 2.1, a cookie, another
 * header), its verdict, and what it must claim.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_verdict.h>
#include <ngx_http_punit_named_claim.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>
#include <ngx_http_punit_token.h>


static ngx_int_t ngx_http_punit_token_cookie(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *token);
static ngx_http_punit_verdict_memo_t *ngx_http_punit_token_memo(
    ngx_connection_t *c);
static void ngx_http_punit_token_memo_cleanup(void *data);


/* NGX_OK: the first token; NGX_DECLINED: there is none. */

ngx_int_t
ngx_http_punit_token_find(ngx_http_request_t *r, ngx_array_t *sources,
    ngx_str_t *token)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_table_elt_t          *h;
    ngx_http_punit_source_t  *source;

    if (sources == NULL) {
        return NGX_DECLINED;
    }

    source = sources->elts;

    for (i = 0; i < sources->nelts; i++) {

        rc = NGX_DECLINED;

        switch (source[i].type) {

        case NGX_HTTP_PUNIT_BEARER:
            h = r->headers_in.authorization;

            if (h) {
                rc = ngx_http_punit_syntax_bearer(&h->value, token);
            }

            break;

        case NGX_HTTP_PUNIT_COOKIE:
            rc = ngx_http_punit_token_cookie(r, &source[i].name, token);
            break;

        default: /* NGX_HTTP_PUNIT_HEADER */
            h = ngx_http_punit_header(&r->headers_in.headers,
                                      (char *) source[i].name.data,
                                      source[i].name.len);
            if (h) {
                *token = h->value;
                rc = NGX_OK;
            }

            break;
        }

        if (rc == NGX_OK) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_punit_token_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *token)
{
#if (nginx_version >= 1029006)

    if (ngx_http_parse_cookie_lines(r, r->headers_in.cookie, name, token)
        == NULL)
    {
        return NGX_DECLINED;
    }

#elif (nginx_version >= 1023000)

    if (ngx_http_parse_multi_header_lines(r, r->headers_in.cookie, name,
                                          token)
        == NULL)
    {
        return NGX_DECLINED;
    }

#else

    if (ngx_http_parse_multi_header_lines(&r->headers_in.cookies, name, token)
        == NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

#endif

    return NGX_OK;
}


/*
 * RFC 6750, 3.1: a request without a token learns that it needs one.  A
 * request with a bad token learns what is wrong with it.
 */

ngx_int_t
ngx_http_punit_token_step(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_str_t                    token;
    const char                  *reason;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ctx->plcf;
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (ngx_http_punit_token_find(r, plcf->token, &token) != NGX_OK) {

        ctx->token.verdict = "none";

        if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC || plcf->optional) {
            return NGX_OK;
        }

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NO_TOKEN, NULL);
    }

    if (pmcf->keys == NULL) {

        /* There are public locations only, and no keys for them. */

        ctx->token.verdict = "key";
        return NGX_OK;
    }

    zone = ngx_http_punit_zone(pmcf);

    rc = ngx_http_punit_verdict(r->pool, zone->sh->verdict_cache, zone->shpool,
                                ctx->peer ? NULL
                                   : ngx_http_punit_token_memo(r->connection),
                                pmcf->keys, &plcf->policy, &token,
                                &ctx->token.claims, &reason);

    if (rc == NGX_OK) {
        ctx->token.verdict = "ok";
        ctx->token.user = (ctx->token.claims.user.len != 0);

        if (ctx->token.user) {
            return NGX_OK;
        }

        /* RFC 9068, 2.2: sub is required. */

        rc = NGX_DECLINED;
        reason = "claims";
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->token.verdict = reason;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "token refused: %s", reason);

    if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        ngx_memzero(&ctx->token.claims, sizeof(ngx_http_punit_claims_t));
        return NGX_OK;
    }

    return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_INVALID_TOKEN,
                                  reason);
}


/*
 * nginx has no module contexts for a connection, but its pool has few
 * cleanups.  A token is compared only with the previous token of the same
 * connection, so the time that it takes reveals nothing.  Peers send tokens of
 * all users, so there is no memo for them.  NULL: no memory, which does no
 * harm.
 */

static ngx_http_punit_verdict_memo_t *
ngx_http_punit_token_memo(ngx_connection_t *c)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_punit_verdict_memo_t  *memo;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_punit_token_memo_cleanup) {
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_punit_verdict_memo_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_punit_token_memo_cleanup;

    memo = cln->data;

    ngx_memzero(memo, sizeof(ngx_http_punit_verdict_memo_t));
    memo->pool = c->pool;

    return memo;
}


/* The pool owns the memory; the handler marks the entry. */

static void
ngx_http_punit_token_memo_cleanup(void *data)
{
    /* void */
}


ngx_int_t
ngx_http_punit_token_require_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                 *value;
    ngx_uint_t                 i, n;
    ngx_array_t               *requires;
    ngx_http_punit_require_t  *require;

    requires = ctx->plcf->require;

    if (requires == NULL) {
        return NGX_OK;
    }

    if (!ctx->token.user) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NO_TOKEN, NULL);
    }

    require = requires->elts;

    for (i = 0; i < requires->nelts; i++) {

        value = require[i].values.elts;

        for (n = 0; n < require[i].values.nelts; n++) {
            if (ngx_http_punit_named_claim_has(&ctx->token.claims,
                                               &require[i].claim,
                                               &value[n]))
            {
                break;
            }
        }

        if (n == require[i].values.nelts) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "claim \"%V\" holds none of the required values",
                          &require[i].claim);

            return ngx_http_punit_problem(r, ctx,
                                          NGX_HTTP_PUNIT_INSUFFICIENT_SCOPE,
                                          NULL);
        }
    }

    return NGX_OK;
}
