
/*
 * Is the token revoked?  Asked once per punit_token_recheck: first the token
 * grid, then the auth worker.  A token that neither knows is good.  If neither
 * can be asked, the request is refused.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_revocation.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_subrequest.h>
#include <jansson.h>


/* While the grid cannot be asked, the auth worker is asked less often. */

#define NGX_HTTP_PUNIT_RECHECK_TROUBLE  15000

/* Values of ctx->token.revocation. */

enum {
    NGX_HTTP_PUNIT_ASK_GRID = 0,
    NGX_HTTP_PUNIT_ASKED_GRID,
    NGX_HTTP_PUNIT_ASK_WORKER,
    NGX_HTTP_PUNIT_ASKED_WORKER
};


static ngx_int_t ngx_http_punit_revocation_grid(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static void ngx_http_punit_revocation_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc);
static ngx_int_t ngx_http_punit_revocation_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_revocation_good(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_revocation_bad(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_revocation_unknown(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


ngx_int_t
ngx_http_punit_revocation_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_msec_int_t              age;
    ngx_http_punit_loc_conf_t  *plcf;

    plcf = ctx->plcf;

    if (!ctx->token.user || !plcf->token_check) {
        return NGX_OK;
    }

    for ( ;; ) {

        switch (ctx->token.revocation) {

        case NGX_HTTP_PUNIT_ASK_GRID:

            if (ctx->token.claims.checked) {
                age = (ngx_msec_int_t) (ngx_current_msec
                                        - ctx->token.claims.checked_at);

                /*
                 * Below zero: the time was set ahead while the grid was away.
                 */

                if (age < (ngx_msec_int_t) plcf->token_recheck
                    && age > -NGX_HTTP_PUNIT_RECHECK_TROUBLE)
                {
                    return NGX_OK;
                }
            }

            ctx->token.revocation = NGX_HTTP_PUNIT_ASK_WORKER;

            if (plcf->token_grid && ctx->token.claims.jti.len) {
                rc = ngx_http_punit_revocation_grid(r, ctx);

                if (rc != NGX_DECLINED) {
                    return rc;
                }
            }

            break;

        case NGX_HTTP_PUNIT_ASKED_GRID:

            if (ctx->token.grid_answer == NGX_OK) {
                return ngx_http_punit_revocation_good(r, ctx);
            }

            if (ctx->token.grid_answer == NGX_ABORT) {
                return ngx_http_punit_revocation_bad(r, ctx);
            }

            ctx->token.revocation = NGX_HTTP_PUNIT_ASK_WORKER;
            break;

        case NGX_HTTP_PUNIT_ASK_WORKER:

            if (plcf->introspect.len == 0) {
                return ngx_http_punit_revocation_good(r, ctx);
            }

            if (ngx_http_punit_subrequest(r, ctx,
                                          &plcf->introspect) != NGX_OK) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            ngx_http_punit_counter_add(r, introspected);

            ctx->token.revocation = NGX_HTTP_PUNIT_ASKED_WORKER;
            return NGX_AGAIN;

        default: /* NGX_HTTP_PUNIT_ASKED_WORKER */

            return ngx_http_punit_revocation_answer(r, ctx);
        }
    }
}


/* NGX_AGAIN, or NGX_DECLINED if the grid cannot be asked. */

static ngx_int_t
ngx_http_punit_revocation_grid(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   key;
    ngx_int_t   rc;

    key.len = sizeof("punit:tok:") - 1 + ctx->token.claims.jti.len;

    if (key.len > 250) {
        return NGX_DECLINED;
    }

    key.data = ngx_pnalloc(r->pool, key.len);
    if (key.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(key.data, "punit:tok:", sizeof("punit:tok:") - 1);
    ngx_memcpy(p, ctx->token.claims.jti.data, ctx->token.claims.jti.len);

    rc = ngx_http_punit_grid_get(ctx->plcf->token_grid, r, &key, 1,
                                 ngx_http_punit_revocation_found, ctx);

    if (rc != NGX_AGAIN) {
        ctx->token.grid_trouble = 1;
        return NGX_DECLINED;
    }

    ctx->token.revocation = NGX_HTTP_PUNIT_ASKED_GRID;

    ngx_http_punit_ctx_wait(r, ctx);

    return NGX_AGAIN;
}


static void
ngx_http_punit_revocation_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    ctx->token.grid_answer = NGX_DECLINED;
    ctx->token.grid_trouble = (rc != NGX_OK);

    if (values[0].known && values[0].found) {

        if (values[0].data.len == sizeof("ok") - 1
            && ngx_strncmp(values[0].data.data, "ok", sizeof("ok") - 1) == 0)
        {
            ctx->token.grid_answer = NGX_OK;

        } else if (values[0].data.len == sizeof("revoked") - 1
                   && ngx_strncmp(values[0].data.data, "revoked",
                                  sizeof("revoked") - 1)
                      == 0)
        {
            ctx->token.grid_answer = NGX_ABORT;
        }
    }

    ngx_http_punit_ctx_resume(r, ctx);
}


/* 200 {"active": true|false}; anything else is no answer. */

static ngx_int_t
ngx_http_punit_revocation_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    json_t     *answer, *active;
    ngx_int_t   rc;
    ngx_str_t   body;

    if (ngx_http_punit_subrequest_answer(ctx, &body) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "punit_introspect gave no answer (%ui)",
                      ctx->subrequest.request->headers_out.status);

        return ngx_http_punit_revocation_unknown(r, ctx);
    }

    answer = json_loadb((char *) body.data, body.len,
                        JSON_REJECT_DUPLICATES, NULL);

    active = json_object_get(answer, "active");

    if (json_is_true(active)) {
        rc = ngx_http_punit_revocation_good(r, ctx);

    } else if (json_is_false(active)) {
        rc = ngx_http_punit_revocation_bad(r, ctx);

    } else {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "punit_introspect answered without \"active\"");

        rc = ngx_http_punit_revocation_unknown(r, ctx);
    }

    json_decref(answer);

    return rc;
}


static ngx_int_t
ngx_http_punit_revocation_good(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_msec_t                   now;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    now = ngx_current_msec;

    if (ctx->token.grid_trouble
        && ctx->plcf->token_recheck < NGX_HTTP_PUNIT_RECHECK_TROUBLE)
    {
        now += NGX_HTTP_PUNIT_RECHECK_TROUBLE - ctx->plcf->token_recheck;
    }

    ngx_http_punit_verdict_cache_set_checked(zone->sh->verdict_cache,
                                             zone->shpool,
                                             &ctx->token.claims, now);
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_revocation_bad(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    ngx_http_punit_verdict_cache_forget(zone->sh->verdict_cache, zone->shpool,
                                        &ctx->token.claims);

    ctx->token.verdict = "revoked";

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "token refused: revoked");

    if (ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        ctx->token.user = 0;
        ngx_memzero(&ctx->token.claims, sizeof(ngx_http_punit_claims_t));
        return NGX_OK;
    }

    return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_INVALID_TOKEN,
                                  "revoked");
}


static ngx_int_t
ngx_http_punit_revocation_unknown(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ctx->token.verdict = "unknown";

    if (ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        ctx->token.user = 0;
        ngx_memzero(&ctx->token.claims, sizeof(ngx_http_punit_claims_t));
        return NGX_OK;
    }

    return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NOT_CHECKED, NULL);
}
