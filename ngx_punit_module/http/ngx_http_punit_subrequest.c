
/*
 * Subrequests to internal locations, with the answer in memory.  The caller
 * decides what a failure means.  A failure never ends the request of the
 * client by itself.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_subrequest.h>


static ngx_int_t ngx_http_punit_subrequest_done(ngx_http_request_t *r,
    void *data,
    ngx_int_t rc);


/* The answer is in ctx->subrequest when the phase handler is called again. */

ngx_int_t
ngx_http_punit_subrequest(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *uri)
{
    ngx_http_request_t          *sr;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_punit_subrequest_done;
    ps->data = ctx;

    if (ngx_http_subrequest(r, uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_IN_MEMORY
                            |NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /*
     * An empty body.  The real one, if already read, stays with the request:
     * the upstream of the subrequest must not close its file.
     */

    sr->request_body = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (sr->request_body == NULL) {
        return NGX_ERROR;
    }

    sr->headers_in.content_length = NULL;
    sr->headers_in.content_length_n = -1;
    sr->headers_in.chunked = 0;

    /*
     * Its own variables.  nginx lets subrequests share the cache: the request
     * would inherit the empty $content_length, and lose its body.
     */

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    sr->variables = ngx_pcalloc(r->pool, cmcf->variables.nelts
                                         * sizeof(ngx_http_variable_value_t));
    if (sr->variables == NULL) {
        return NGX_ERROR;
    }

    ctx->subrequest.request = sr;
    ctx->subrequest.failed = 0;
    ctx->waiting = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_subrequest_done(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    /* Called once more after a special response, with the status set. */

    ctx->waiting = 0;
    ctx->subrequest.error = rc;

    /*
     * The caller decides about an answer that broke off.  An error here would
     * end the request of the client without a response.
     */

    if (rc == NGX_ERROR && !r->connection->error && !r->connection->timedout) {
        return NGX_OK;
    }

    return rc;
}


/* Gives the body of a complete response with status 200. */

ngx_int_t
ngx_http_punit_subrequest_answer(ngx_http_punit_ctx_t *ctx, ngx_str_t *body)
{
    ngx_buf_t            *b;
    ngx_event_pipe_t     *p;
    ngx_http_request_t   *sr;

    sr = ctx->subrequest.request;

    if (ctx->subrequest.error == NGX_ERROR || ctx->subrequest.failed
        || sr->headers_out.status != NGX_HTTP_OK || sr->out == NULL)
    {
        return NGX_DECLINED;
    }

    /*
     * ngx_http_upstream_process_request() checks in this way for completeness.
     */

    p = sr->upstream ? sr->upstream->pipe : NULL;

    if (p && !p->upstream_done && !(p->upstream_eof && p->length == -1)) {
        return NGX_DECLINED;
    }

    b = sr->out->buf;

    body->data = b->pos;
    body->len = b->last - b->pos;

    return NGX_OK;
}


/*
 * nginx would take an answer that does not fit (subrequest_output_buffer_size)
 * for an error of the connection of the client.
 */

void
ngx_http_punit_subrequest_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t                      n;
    ngx_chain_t               *cl;
    ngx_http_punit_ctx_t      *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    if (!r->subrequest_in_memory) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r->parent, ngx_http_punit_module);

    if (ctx == NULL || ctx->subrequest.request != r) {
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* nginx would allocate the announced length, and refuse too much. */

    r->headers_out.content_length_n = -1;

    for (n = 0, cl = in; cl; cl = cl->next) {
        n += ngx_buf_size(cl->buf);
    }

    if (r->out) {
        n += r->out->buf->last - r->out->buf->pos;
    }

    if (n > (off_t) clcf->subrequest_output_buffer_size) {
        ctx->subrequest.failed = 1;
    }

    if (!ctx->subrequest.failed) {
        return;
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }
}
