
/* The token of a request: where it is found, and what it must claim. */


#ifndef _NGX_HTTP_PUNIT_TOKEN_H_INCLUDED_
#define _NGX_HTTP_PUNIT_TOKEN_H_INCLUDED_


#include <ngx_http_punit.h>


/* Access step: finds the token and judges it. */

ngx_int_t ngx_http_punit_token_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* Access step: punit_require. */

ngx_int_t ngx_http_punit_token_require_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_TOKEN_H_INCLUDED_ */
