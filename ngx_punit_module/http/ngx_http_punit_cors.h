
/* Cross-origin requests (fetch.spec.whatwg.org, "CORS protocol"). */


#ifndef _NGX_HTTP_PUNIT_CORS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_CORS_H_INCLUDED_


#include <ngx_http_punit.h>


/* Answers OPTIONS; gives the status. */

ngx_int_t ngx_http_punit_cors_preflight(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* Adds the headers if the request has an Origin.  NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_punit_cors_headers(ngx_http_request_t *r);


#endif /* _NGX_HTTP_PUNIT_CORS_H_INCLUDED_ */
