
/*
 * The near cache (punit_grid_near): documents in the memory of this worker.
 * The document is named by ctx->grid.text.
 */


#ifndef _NGX_HTTP_PUNIT_LOCAL_CACHE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_LOCAL_CACHE_H_INCLUDED_


#include <ngx_http_punit.h>


/* NGX_OK: the document is there, of any generation; NGX_DECLINED. */

ngx_int_t ngx_http_punit_local_cache_find(ngx_http_punit_ctx_t *ctx);


/*
 * NGX_OK: ctx->grid.document is of ctx->grid.generation, and stays until r
 * ends; NGX_DECLINED: there is none; NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_punit_local_cache_get(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* Keeps ctx->grid.document, which the grid gave for this generation. */

void ngx_http_punit_local_cache_keep(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_LOCAL_CACHE_H_INCLUDED_ */
