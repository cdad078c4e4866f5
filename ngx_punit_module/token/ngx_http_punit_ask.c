
/*
 * Asking the auth worker by a subrequest to an internal location.  Its answer
 * is kept in memory; whatever is wrong with it is for the one who asked to
 * say, and never ends the client's request by itself.
 */


#include "ngx_http_punit_module.h"


static ngx_int_t ngx_http_punit_asked(ngx_http_request_t *r, void *data,
    ngx_int_t rc);


/*
 * Asks an internal location; the phase handler returns NGX_AGAIN and is called
 * again with ctx->waiting 0 and the answer in ctx->subrequest.  The timers are
 * those of that location's upstream.
 */

ngx_int_t
ngx_http_punit_ask(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *uri)
{
    ngx_http_request_t          *sr;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_punit_asked;
    ps->data = ctx;

    if (ngx_http_subrequest(r, uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_IN_MEMORY
                            |NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /*
     * An empty body: the real one, if already read, stays with the request,
     * its file must not be closed by the subrequest's upstream.
     */

    sr->request_body = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (sr->request_body == NULL) {
        return NGX_ERROR;
    }

    sr->headers_in.content_length = NULL;
    sr->headers_in.content_length_n = -1;
    sr->headers_in.chunked = 0;

    /*
     * Variables of its own: nginx lets subrequests share the cache, and the
     * request would inherit that $content_length is empty, and lose its body.
     */

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    sr->variables = ngx_pcalloc(r->pool, cmcf->variables.nelts
                                         * sizeof(ngx_http_variable_value_t));
    if (sr->variables == NULL) {
        return NGX_ERROR;
    }

    ctx->subrequest = sr;
    ctx->answer_failed = 0;
    ctx->waiting = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_asked(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    /* called once more after a special response, with the status set */

    ctx->waiting = 0;
    ctx->error = rc;

    /*
     * An answer that broke off is no answer, but that is for the one who asked
     * to say: an error here would end the client's request without a word.
     */

    if (rc == NGX_ERROR && !r->connection->error && !r->connection->timedout) {
        return NGX_OK;
    }

    return rc;
}


/*
 * The whole body of an answer with status 200; NGX_DECLINED: there is none, it
 * broke off, or it was too large.
 */

ngx_int_t
ngx_http_punit_answer(ngx_http_punit_ctx_t *ctx, ngx_str_t *body)
{
    ngx_buf_t            *b;
    ngx_event_pipe_t     *p;
    ngx_http_request_t   *sr;

    sr = ctx->subrequest;

    if (ctx->error == NGX_ERROR || ctx->answer_failed
        || sr->headers_out.status != NGX_HTTP_OK || sr->out == NULL)
    {
        return NGX_DECLINED;
    }

    /* as ngx_http_upstream_process_request() sees that an answer is whole */

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
 * Of the body filter: nginx would take an answer that does not fit
 * (subrequest_output_buffer_size) for an error of the client's connection.
 */

void
ngx_http_punit_answer_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t                      n;
    ngx_chain_t               *cl;
    ngx_http_punit_ctx_t      *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    if (!r->subrequest_in_memory) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r->parent, ngx_http_punit_module);

    if (ctx == NULL || ctx->subrequest != r) {
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* what was announced would be allocated, and refused if too much */

    r->headers_out.content_length_n = -1;

    for (n = 0, cl = in; cl; cl = cl->next) {
        n += ngx_buf_size(cl->buf);
    }

    if (r->out) {
        n += r->out->buf->last - r->out->buf->pos;
    }

    if (n > (off_t) clcf->subrequest_output_buffer_size) {
        ctx->answer_failed = 1;
    }

    if (!ctx->answer_failed) {
        return;
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }
}
