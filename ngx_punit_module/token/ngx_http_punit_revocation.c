
/*
 * Is the token revoked?  Asked once per punit_token_recheck: the token grid,
 * and if that does not know, the auth worker.  What neither knows is no
 * refusal; that neither can be asked is.
 */


#include "ngx_http_punit_module.h"


/* while the grid cannot be asked, the auth worker is asked that rarely */

#define NGX_HTTP_PUNIT_RECHECK_TROUBLE  15000

/* ctx->revocation */

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

    if (!ctx->user || !plcf->token_check) {
        return NGX_OK;
    }

    for ( ;; ) {

        switch (ctx->revocation) {

        case NGX_HTTP_PUNIT_ASK_GRID:

            if (ctx->claims.checked) {
                age = (ngx_msec_int_t) (ngx_current_msec
                                        - ctx->claims.checked_at);

                /* below zero: it was set ahead while the grid was away */

                if (age < (ngx_msec_int_t) plcf->token_recheck
                    && age > -NGX_HTTP_PUNIT_RECHECK_TROUBLE)
                {
                    return NGX_OK;
                }
            }

            ctx->revocation = NGX_HTTP_PUNIT_ASK_WORKER;

            if (plcf->token_grid && ctx->claims.jti.len) {
                rc = ngx_http_punit_revocation_grid(r, ctx);

                if (rc != NGX_DECLINED) {
                    return rc;
                }
            }

            break;

        case NGX_HTTP_PUNIT_ASKED_GRID:

            if (ctx->error == NGX_OK) {
                return ngx_http_punit_revocation_good(r, ctx);
            }

            if (ctx->error == NGX_ABORT) {
                return ngx_http_punit_revocation_bad(r, ctx);
            }

            ctx->revocation = NGX_HTTP_PUNIT_ASK_WORKER;
            break;

        case NGX_HTTP_PUNIT_ASK_WORKER:

            if (plcf->introspect.len == 0) {
                return ngx_http_punit_revocation_good(r, ctx);
            }

            if (ngx_http_punit_ask(r, ctx, &plcf->introspect) != NGX_OK) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            ngx_http_punit_count(r, introspected);

            ctx->revocation = NGX_HTTP_PUNIT_ASKED_WORKER;
            return NGX_AGAIN;

        default: /* NGX_HTTP_PUNIT_ASKED_WORKER */

            return ngx_http_punit_revocation_answer(r, ctx);
        }
    }
}


/* NGX_AGAIN, or NGX_DECLINED if it cannot be asked */

static ngx_int_t
ngx_http_punit_revocation_grid(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   key;
    ngx_int_t   rc;

    key.len = sizeof("punit:tok:") - 1 + ctx->claims.jti.len;

    if (key.len > 250) {
        return NGX_DECLINED;
    }

    key.data = ngx_pnalloc(r->pool, key.len);
    if (key.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(key.data, "punit:tok:", sizeof("punit:tok:") - 1);
    ngx_memcpy(p, ctx->claims.jti.data, ctx->claims.jti.len);

    rc = ngx_http_punit_grid_get(ctx->plcf->token_grid, r, &key, 1,
                                 ngx_http_punit_revocation_found, ctx);

    if (rc != NGX_AGAIN) {
        ctx->grid_trouble = 1;
        return NGX_DECLINED;
    }

    ctx->revocation = NGX_HTTP_PUNIT_ASKED_GRID;

    ngx_http_punit_wait(r, ctx);

    return NGX_AGAIN;
}


static void
ngx_http_punit_revocation_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    ctx->error = NGX_DECLINED;
    ctx->grid_trouble = (rc != NGX_OK);

    if (values[0].known && values[0].found) {

        if (values[0].data.len == sizeof("ok") - 1
            && ngx_strncmp(values[0].data.data, "ok", sizeof("ok") - 1) == 0)
        {
            ctx->error = NGX_OK;

        } else if (values[0].data.len == sizeof("revoked") - 1
                   && ngx_strncmp(values[0].data.data, "revoked",
                                  sizeof("revoked") - 1)
                      == 0)
        {
            ctx->error = NGX_ABORT;
        }
    }

    ngx_http_punit_resume(r, ctx);
}


/* 200 {"active": true|false}; anything else is no answer */

static ngx_int_t
ngx_http_punit_revocation_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    json_t     *answer, *active;
    ngx_int_t   rc;
    ngx_str_t   body;

    if (ngx_http_punit_answer(ctx, &body) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "punit_introspect gave no answer (%ui)",
                      ctx->subrequest->headers_out.status);

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

    if (ctx->grid_trouble
        && ctx->plcf->token_recheck < NGX_HTTP_PUNIT_RECHECK_TROUBLE)
    {
        now += NGX_HTTP_PUNIT_RECHECK_TROUBLE - ctx->plcf->token_recheck;
    }

    ngx_http_punit_verdicts_set_checked(zone->sh->verdicts, zone->shpool,
                                        &ctx->claims, now);
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

    ngx_http_punit_verdicts_forget(zone->sh->verdicts, zone->shpool,
                                   &ctx->claims);

    ctx->verdict = "revoked";

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "token refused: revoked");

    if (ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        ctx->user = 0;
        ngx_memzero(&ctx->claims, sizeof(ngx_http_punit_claims_t));
        return NGX_OK;
    }

    return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_INVALID_TOKEN,
                                 "revoked");
}


static ngx_int_t
ngx_http_punit_revocation_unknown(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ctx->verdict = "unknown";

    if (ctx->plcf->scope == NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        ctx->user = 0;
        ngx_memzero(&ctx->claims, sizeof(ngx_http_punit_claims_t));
        return NGX_OK;
    }

    return ngx_http_punit_refuse(r, ctx, NGX_HTTP_PUNIT_NOT_CHECKED, NULL);
}
