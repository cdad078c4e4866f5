
/*
 * The context of a request: it is found again after an internal redirect.
 * Also suspends and continues the phase handler of a request that waits.
 */


#ifndef _NGX_HTTP_PUNIT_CTX_H_INCLUDED_
#define _NGX_HTTP_PUNIT_CTX_H_INCLUDED_


#include <ngx_http_punit.h>


/* The context of r, NULL if the module has not seen the request yet. */

ngx_http_punit_ctx_t *ngx_http_punit_ctx(ngx_http_request_t *r);


/* Makes the context; NULL without memory. */

ngx_http_punit_ctx_t *ngx_http_punit_ctx_create(ngx_http_request_t *r);


/*
 * The context of a request that nginx answered before any step of the module,
 * by "return" for one.  NULL without memory.
 */

ngx_http_punit_ctx_t *ngx_http_punit_ctx_create_answered(
    ngx_http_request_t *r);


/*
 * Clears the context when the request starts anew in another location.
 * The request id and the inherited error stay.
 */

void ngx_http_punit_ctx_reset(ngx_http_punit_ctx_t *ctx);


/* The context of r, or of the nearest parent that has one. */

ngx_http_punit_ctx_t *ngx_http_punit_ctx_of_parent(ngx_http_request_t *r);


/* Suspends the request; the phase handler returns NGX_AGAIN after this. */

void ngx_http_punit_ctx_wait(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx);


/* Continues the phase that waits; called from an event handler. */

void ngx_http_punit_ctx_resume(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_CTX_H_INCLUDED_ */
