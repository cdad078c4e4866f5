
/*
 * Errors as application/problem+json (RFC 9457): those of the module, and
 * those of nginx in the locations of punit.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_subrequest.h>


#define NGX_HTTP_LOOP_DETECTED  508            /* RFC 5842, 7.2 */


typedef struct {
    ngx_uint_t                      status;
    const char                     *name;      /* urn:punit:<name> */
    const char                     *title;
    const char                     *error;     /* RFC 6750, 3.1 */
    ngx_uint_t                      retry;     /* seconds; 0: no Retry-After */
} ngx_http_punit_problem_t;


static ngx_int_t ngx_http_punit_problem_set_headers(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, const ngx_http_punit_problem_t *problem,
    ngx_uint_t status);
static ngx_int_t ngx_http_punit_problem_write(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, const ngx_http_punit_problem_t *problem,
    ngx_uint_t status);
static const ngx_http_punit_problem_t *ngx_http_punit_problem_of_status(
    ngx_uint_t status);
static ngx_uint_t ngx_http_punit_problem_is_special(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_problem_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_output_body_filter_pt  ngx_http_next_body_filter;


/* In the order of ngx_http_punit_problem_e. */

static const ngx_http_punit_problem_t  ngx_http_punit_problems[] = {
    { 0, "", "", NULL, 0 },
    { 401, "no-token", "An access token is needed", "", 0 },
    { 401, "invalid-token", "The access token is not good",
      "invalid_token", 0 },
    { 403, "insufficient-scope", "The access token does not allow this",
      "insufficient_scope", 0 },
    { 503, "token-not-checked", "The access token cannot be checked now",
      NULL, 1 },
    { 403, "not-a-peer", "Only peers may ask here", NULL, 0 },
    { 400, "bad-forward", "The request was not forwarded as it should",
      NULL, 0 },
    { 400, "invalid-header", "A request header is not valid", NULL, 0 },
    { 508, "loop", "The request goes round in circles", NULL, 0 },
    { 503, "moving", "The user is just moving between units", NULL, 1 },
    { 502, "bad-owner", "A unit refused the request and named no other",
      NULL, 1 },
    { 503, "unit-down", "The unit that has the data is down", NULL, 10 },
    { 503, "unit-unreachable",
      "The unit that has the data cannot be reached", NULL, 1 },
    { 400, "bad-json", "The body is not JSON", NULL, 0 },
    { 422, "invalid", "The body is not what is expected", NULL, 0 },
    { 403, "forbidden", "This is not allowed from here", NULL, 0 },
    { 404, "not-found", "There is nothing here", NULL, 0 },
    { 405, "method-not-allowed", "The method is not supported here",
      NULL, 0 },
    { 503, "state-busy", "Another change is being written", NULL, 1 },
    { 500, "state-failed", "The state file cannot be written", NULL, 0 }
};


/* Errors of nginx; the last two stand for the rest. */

static const ngx_http_punit_problem_t  ngx_http_punit_statuses[] = {
    { 400, "bad-request", "Bad Request", NULL, 0 },
    { 401, "unauthorized", "Unauthorized", NULL, 0 },
    { 403, "forbidden", "Forbidden", NULL, 0 },
    { 404, "not-found", "Not Found", NULL, 0 },
    { 405, "method-not-allowed", "Method Not Allowed", NULL, 0 },
    { 408, "timeout", "Request Timeout", NULL, 0 },
    { 411, "length-required", "Length Required", NULL, 0 },
    { 412, "precondition-failed", "Precondition Failed", NULL, 0 },
    { 413, "too-large", "Content Too Large", NULL, 0 },
    { 415, "unsupported-media-type", "Unsupported Media Type", NULL, 0 },
    { 416, "range-not-satisfiable", "Range Not Satisfiable", NULL, 0 },
    { 429, "too-many-requests", "Too Many Requests", NULL, 1 },
    { 501, "not-implemented", "Not Implemented", NULL, 0 },
    { 502, "bad-gateway", "Bad Gateway", NULL, 1 },
    { 503, "unavailable", "Service Unavailable", NULL, 1 },
    { 504, "gateway-timeout", "Gateway Timeout", NULL, 1 },
    { 499, "refused", "The request was refused", NULL, 0 },
    { 500, "internal", "Internal Server Error", NULL, 0 }
};


/*
 * Sets the error; ctx may be new (punit_status).  If this unit cannot check
 * any token, a peer gets 502: its front then goes on as if this unit were
 * unreachable.
 */

ngx_int_t
ngx_http_punit_problem(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_problem_e problem, const char *detail)
{
    ctx->answer.problem = problem;
    ctx->answer.detail = detail;
    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_REFUSE;
    ctx->route.why = ngx_http_punit_problems[problem].name;

    if (ctx->peer && problem == NGX_HTTP_PUNIT_NOT_CHECKED) {
        return NGX_HTTP_BAD_GATEWAY;
    }

    return ngx_http_punit_problems[problem].status;
}


ngx_int_t
ngx_http_punit_problem_init(ngx_conf_t *cf)
{
    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_punit_problem_body_filter;

    return NGX_OK;
}


/* Is this an error that nginx or the module made?  Then replace its body. */

ngx_int_t
ngx_http_punit_problem_replace(ngx_http_request_t *r,
    ngx_http_punit_ctx_t **pctx)
{
    ngx_uint_t                       status;
    ngx_table_elt_t                 *h;
    ngx_http_punit_ctx_t            *ctx;
    const ngx_http_punit_problem_t  *problem;

    ngx_http_punit_header_iter_t  iter = { NULL, &r->headers_out.headers.part,
    0 };

    ctx = *pctx;

    if (ctx && !ctx->peer && ctx->step == NGX_HTTP_PUNIT_STEP_SENT
        && r->headers_out.status == NGX_HTTP_MISDIRECTED_REQUEST)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "a 421 was not followed, expected \"error_page 421 = "
                      "@...\" and intercepted errors in location \"%V\"",
                      ctx->route.target);

        (void) ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_BAD_OWNER, NULL);

        r->headers_out.status = NGX_HTTP_BAD_GATEWAY;
        r->headers_out.status_line.len = 0;

    } else if (ctx && ctx->route.lost
               && ctx->route.type == NGX_HTTP_PUNIT_ROUTE_LOCAL
               && r->headers_out.status == NGX_HTTP_UNAUTHORIZED)
    {
        /* The user may be known to the unit that cannot be asked. */

        (void) ngx_http_punit_problem(r, ctx, ctx->route.lost, NULL);

        r->headers_out.status = NGX_HTTP_SERVICE_UNAVAILABLE;
        r->headers_out.status_line.len = 0;

        for ( ;; ) {
            h = ngx_http_punit_header_next_named(&iter, "www-authenticate",
                                            sizeof("www-authenticate") - 1);
            if (h == NULL) {
                break;
            }

            h->hash = 0;
        }

    } else if (!ngx_http_punit_problem_is_special(r, ctx)) {
        return NGX_OK;
    }

    if (ctx == NULL) {
        ctx = ngx_http_punit_ctx_create_answered(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        *pctx = ctx;
    }

    status = r->headers_out.status;

    if (ctx->peer && status == NGX_HTTP_MISDIRECTED_REQUEST) {
        return NGX_OK;
    }

    problem = &ngx_http_punit_problems[ctx->answer.problem];

    if (problem->status != status) {
        problem = ngx_http_punit_problem_of_status(status);
        ctx->answer.detail = NULL;
        ctx->route.type = NGX_HTTP_PUNIT_ROUTE_REFUSE;
    }

    if (ngx_http_punit_problem_write(r, ctx, problem, status) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    r->headers_out.content_length_n = ctx->answer.body.len;

    return ngx_http_punit_problem_set_headers(r, ctx, problem, status);
}


/* The document of a problem becomes the body of the answer. */

static ngx_int_t
ngx_http_punit_problem_write(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    const ngx_http_punit_problem_t *problem, ngx_uint_t status)
{
    u_char  *p;
    size_t   len;

    len = sizeof("{\"type\":\"urn:punit:\",\"title\":\"\",\"status\":,"
                 "\"detail\":\"\"}\n") - 1
          + ngx_strlen(problem->name) + ngx_strlen(problem->title)
          + NGX_INT_T_LEN
          + (ctx->answer.detail ? ngx_strlen(ctx->answer.detail) : 0);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->answer.body.data = p;

    p = ngx_sprintf(p, "{\"type\":\"urn:punit:%s\",\"title\":\"%s\","
                    "\"status\":%ui", problem->name, problem->title, status);

    if (ctx->answer.detail) {
        p = ngx_sprintf(p, ",\"detail\":\"%s\"", ctx->answer.detail);
    }

    p = ngx_cpymem(p, "}\n", 2);

    ctx->answer.body.len = p - ctx->answer.body.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_problem_set_headers(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, const ngx_http_punit_problem_t *problem,
    ngx_uint_t status)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   value;

    if (problem->retry) {

        value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%ui", problem->retry)
                    - value.data;

        if (ngx_http_punit_header_add(r, "Retry-After",
                                      sizeof("Retry-After") - 1, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (problem->error == NULL) {
        return NGX_OK;
    }

    len = sizeof("Bearer realm=\"punit\", error=\"\", "
                 "error_description=\"\"") - 1
          + ngx_strlen(problem->error)
          + (ctx->answer.detail ? ngx_strlen(ctx->answer.detail) : 0);

    value.data = ngx_pnalloc(r->pool, len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, "Bearer realm=\"punit\"",
                   sizeof("Bearer realm=\"punit\"") - 1);

    if (*problem->error) {
        p = ngx_sprintf(p, ", error=\"%s\"", problem->error);

        if (ctx->answer.detail) {
            p = ngx_sprintf(p, ", error_description=\"%s\"",
                            ctx->answer.detail);
        }
    }

    value.len = p - value.data;

    return ngx_http_punit_header_add(r, "WWW-Authenticate",
                                     sizeof("WWW-Authenticate") - 1, &value);
}


static const ngx_http_punit_problem_t *
ngx_http_punit_problem_of_status(ngx_uint_t status)
{
    ngx_uint_t  i, n;

    n = sizeof(ngx_http_punit_statuses) / sizeof(ngx_http_punit_problem_t) - 2;

    for (i = 0; i < n; i++) {
        if (ngx_http_punit_statuses[i].status == status) {
            return &ngx_http_punit_statuses[i];
        }
    }

    return &ngx_http_punit_statuses[status < 500 ? n : n + 1];
}


/*
 * Each redirect passes here, with the error that led to it.  A response with
 * that status is the page for the error.
 */

ngx_int_t
ngx_http_punit_problem_inherit(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t  *ctx;

    if (r->err_status == 0 || r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_punit_ctx_create(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->answer.inherited = r->err_status;
    ctx->answer.problem = NGX_HTTP_PUNIT_NO_PROBLEM;
    ctx->restart = 1;

    return NGX_DECLINED;
}


/*
 * Made by ngx_http_special_response_handler(), and not a page of error_page?
 */

static ngx_uint_t
ngx_http_punit_problem_is_special(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    if (r->err_status < NGX_HTTP_BAD_REQUEST
        || r->headers_out.status != r->err_status)
    {
        return 0;
    }

    if (ctx && ctx->answer.inherited == r->err_status
        && ngx_http_punit_problems[ctx->answer.problem].status
           != r->err_status)
    {
        return 0;
    }

    /* An upstream whose response is being sent still has its cleanup. */

    if (r->upstream && r->upstream->cleanup) {
        return 0;
    }

    if (r->headers_out.etag || r->headers_out.last_modified_time != -1) {
        return 0;
    }

    return r->headers_out.content_type.len == 0
           || (r->headers_out.content_type.len == sizeof("text/html") - 1
               && ngx_strncmp(r->headers_out.content_type.data, "text/html",
                              sizeof("text/html") - 1)
                  == 0);
}


static ngx_int_t
ngx_http_punit_problem_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t             *b;
    ngx_chain_t           *cl, out;
    ngx_http_punit_ctx_t  *ctx;

    if (r != r->main) {
        ngx_http_punit_subrequest_filter(r, in);
        return ngx_http_next_body_filter(r, in);
    }

    if (in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_punit_module);

    if (ctx == NULL || ctx->answer.body.len == 0) {
        return ngx_http_next_body_filter(r, in);
    }

    /* The buffers that it replaces count as sent. */

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->answer.body_sent) {
        return ngx_http_next_body_filter(r, NULL);
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = ctx->answer.body.data;
    b->last = b->pos + ctx->answer.body.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    ctx->answer.body_sent = 1;

    return ngx_http_next_body_filter(r, &out);
}
