
/*
 * Refills: one request asks the worker for a missing document, the others
 * wait.  hash is the hash of ctx->grid.text, not 0.
 */


#ifndef _NGX_HTTP_PUNIT_REFILL_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REFILL_H_INCLUDED_


#include <ngx_http_punit.h>


#define NGX_HTTP_PUNIT_REFILLS       1024


/* The refill of a document that runs now, or ran last; in the zone. */

struct ngx_http_punit_refill_s {
    uint32_t                        hash;      /* 0: none */
    ngx_uint_t                      state;     /* of refill.c */
    ngx_msec_t                      since;
    ngx_msec_t                      done;
};


/*
 * rc of the handler: NGX_OK: the worker has answered; NGX_BUSY: this request
 * has waited long enough; NGX_DECLINED: nobody refills any more.
 */

typedef void (*ngx_http_punit_refill_pt)(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_int_t rc);


/* NULL if the zone is full. */

ngx_http_punit_refill_t *ngx_http_punit_refill_init(ngx_slab_pool_t *shpool);


/*
 * Tries to begin the refill for ctx, which asked the grid at ctx->grid.asked.
 * NGX_OK: this request refills, and the context ends that refill at the
 * latest; NGX_BUSY: one runs, since so many milliseconds; NGX_AGAIN: one was
 * answered since then, so the document may be in the grid now.
 */

ngx_int_t ngx_http_punit_refill_begin(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, uint32_t hash, ngx_msec_t *since);


/* Ends the refill of ctx, if it has one, and wakes those who wait. */

void ngx_http_punit_refill_end(ngx_http_punit_ctx_t *ctx,
    ngx_uint_t answered);


/*
 * Waits for the refill that runs.  NGX_AGAIN: handler will be called once,
 * from the event loop, unless the request ends before; NGX_DECLINED: the
 * request does not wait.
 */

ngx_int_t ngx_http_punit_refill_wait(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, uint32_t hash,
    ngx_http_punit_refill_pt handler);


#endif /* _NGX_HTTP_PUNIT_REFILL_H_INCLUDED_ */
