
/*
 * Requests to internal locations whose answer is kept in memory: the auth
 * worker is asked in this way.
 */


#ifndef _NGX_HTTP_PUNIT_SUBREQUEST_H_INCLUDED_
#define _NGX_HTTP_PUNIT_SUBREQUEST_H_INCLUDED_


#include <ngx_http_punit.h>


/*
 * Asks an internal location.  The phase handler returns NGX_AGAIN and is
 * called again when ctx->waiting is 0.  The timers are those of the upstream
 * of that location.  NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_punit_subrequest(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *uri);


/*
 * The whole body of a response with status 200.  NGX_DECLINED: there is none,
 * it broke off, or it was too large.
 */

ngx_int_t ngx_http_punit_subrequest_answer(ngx_http_punit_ctx_t *ctx,
    ngx_str_t *body);


/* For the body filter: discards a response that exceeds the buffer. */

void ngx_http_punit_subrequest_filter(ngx_http_request_t *r, ngx_chain_t *in);


#endif /* _NGX_HTTP_PUNIT_SUBREQUEST_H_INCLUDED_ */
