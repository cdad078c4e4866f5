
/* The key of a document in the grid. */


#ifndef _NGX_HTTP_PUNIT_DOCUMENT_KEY_H_INCLUDED_
#define _NGX_HTTP_PUNIT_DOCUMENT_KEY_H_INCLUDED_


#include <ngx_http_punit.h>


/* The first segment of the path.  NGX_OK; NGX_DECLINED: not for the grid. */

ngx_int_t ngx_http_punit_document_key_service(ngx_http_request_t *r,
    ngx_str_t *service);


/*
 * Makes ctx->grid.text: "GET\n" path "\n" and, for each argument of
 * punit_grid_args that the request has, in that order, name "=" value "\n".
 * NGX_OK; NGX_DECLINED: the answer must not be kept, the text is empty;
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_punit_document_key_text(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/*
 * Makes ctx->grid.key, unless it is there already:
 * punit:doc:<service>:<SHA-256 of ctx->grid.text>.  It is empty if the text
 * is empty.  NGX_OK; NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_punit_document_key(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_DOCUMENT_KEY_H_INCLUDED_ */
