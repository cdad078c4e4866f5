
/* The grid route: documents of reference data. */


#ifndef _NGX_HTTP_PUNIT_DOCUMENT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_DOCUMENT_H_INCLUDED_


#include <ngx_http_punit.h>


/* NGX_AGAIN: waits; NGX_DONE: answered; NGX_DECLINED: ask the worker. */

ngx_int_t ngx_http_punit_document_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* For the header filter: a worker has answered. */

void ngx_http_punit_document_answered(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_DOCUMENT_H_INCLUDED_ */
