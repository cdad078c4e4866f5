
/*
 * The PREACCESS phase: a table of steps, each of which may wait.  It ends with
 * a route or with an error.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_access.h>
#include <ngx_http_punit_cors.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_follow.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_listener.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_reissue.h>
#include <ngx_http_punit_revocation.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_syntax.h>
#include <ngx_http_punit_token.h>


typedef ngx_int_t (*ngx_http_punit_step_pt)(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


static ngx_int_t ngx_http_punit_begin_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_uint_t ngx_http_punit_loops(ngx_http_request_t *r,
    ngx_http_punit_main_conf_t *pmcf);
static const char *ngx_http_punit_repeated(ngx_http_request_t *r);


/* NGX_OK: the next one; NGX_AGAIN: waits; else the answer. */

static ngx_http_punit_step_pt  ngx_http_punit_steps[] = {
    ngx_http_punit_begin_step,
    ngx_http_punit_token_step,
    ngx_http_punit_revocation_step,
    ngx_http_punit_token_require_step,
    ngx_http_punit_route_step,
    ngx_http_punit_reissue_step            /* NGX_HTTP_PUNIT_STEP_REISSUE */
};


ngx_int_t
ngx_http_punit_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  status;
    ngx_http_punit_ctx_t       *ctx;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_punit_loc_conf_t  *plcf;

    plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);

    if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_punit_ctx_create(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ctx->plcf == NULL) {
        ctx->plcf = plcf;
        ctx->at = plcf;
        ctx->restart = 0;
    }

    if (ctx->waiting) {
        return NGX_AGAIN;
    }

    if (ctx->at != plcf || ctx->restart || ctx->answer.problem
        || ctx->step >= NGX_HTTP_PUNIT_STEP_DECIDED)
    {
        /*
         * The request is here again: in the location of its route, in the one
         * that follows, or by another redirect (error_page, X-Accel-Redirect).
         * Another redirect is judged as if it came from outside.
         */

        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (ctx->step == NGX_HTTP_PUNIT_STEP_SENT && !ctx->answer.problem
            && clcf->named)
        {
            status = ngx_http_punit_follow_status(r, ctx);

            if (status) {
                ctx->at = plcf;
                ctx->restart = 0;

                rc = ngx_http_punit_follow(r, ctx, status);

                if (rc != NGX_OK) {
                    return rc;
                }

                goto steps;
            }

            if (clcf->name.len == ctx->route.target->len
                && ngx_strncmp(clcf->name.data, ctx->route.target->data,
                               ctx->route.target->len)
                   == 0)
            {
                return NGX_DECLINED;
            }
        }

        ngx_http_punit_ctx_reset(ctx);
        ctx->plcf = plcf;
        ctx->at = plcf;
    }

steps:

    while (ctx->step < NGX_HTTP_PUNIT_STEP_DECIDED) {

        rc = ngx_http_punit_steps[ctx->step](r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        ctx->step++;
    }

    return NGX_DECLINED;
}


/* Finds out where the request comes from, and answers what needs no token. */

static ngx_int_t
ngx_http_punit_begin_step(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    const char                  *detail;
    ngx_http_punit_srv_conf_t   *pscf;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    pscf = ngx_http_get_module_srv_conf(r, ngx_http_punit_module);

    if (pscf->listener) {
        rc = ngx_http_punit_listener_check(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

    } else {
        ctx->client = r->connection->addr_text;
    }

    if (ngx_http_punit_loops(r, pmcf)) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_LOOP,
                                      "the request has been here before");
    }

    if (r->method == NGX_HTTP_OPTIONS && !ctx->peer) {
        return ngx_http_punit_cors_preflight(r, ctx);
    }

    detail = ngx_http_punit_repeated(r);

    if (detail) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_INVALID_HEADER,
                                      detail);
    }

    return NGX_OK;
}


/*
 * A variable of nginx has the first header of a name (before 1.23), or all of
 * them in one text, and an empty header is like none.  A client that sends
 * these headers so does not get what it asks for.  NULL or the detail.
 */

static const char *
ngx_http_punit_repeated(ngx_http_request_t *r)
{
    ngx_uint_t                    i, n;
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter;

    static const struct {
        ngx_str_t    name;
        ngx_uint_t   empty;                            /* may be empty */
        const char  *detail;
    } single[] = {
        { ngx_string("idempotency-key"), 0,
          "Idempotency-Key must come once, with a value" },
        { ngx_string("content-type"), 1, "Content-Type must come once" }
    };

    for (i = 0; i < sizeof(single) / sizeof(single[0]); i++) {

        iter.prev = NULL;
        iter.part = &r->headers_in.headers.part;
        iter.i = 0;
        n = 0;

        while ((h = ngx_http_punit_header_next_named(&iter,
                                                     (char *)
                                                     single[i].name.data,
                                                     single[i].name.len)))
        {
            if (n++ || (h->value.len == 0 && !single[i].empty)) {
                return single[i].detail;
            }
        }
    }

    return NULL;
}


/* RFC 8586: does CDN-Loop already name this unit? */

static ngx_uint_t
ngx_http_punit_loops(ngx_http_request_t *r, ngx_http_punit_main_conf_t *pmcf)
{
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter = { NULL, &r->headers_in.headers.part,
    0 };

    for ( ;; ) {
        h = ngx_http_punit_header_next_named(&iter, "cdn-loop",
                                             sizeof("cdn-loop") - 1);

        if (h == NULL) {
            return 0;
        }

        if (ngx_http_punit_syntax_loop(&h->value, &pmcf->loop)) {
            return 1;
        }
    }
}
