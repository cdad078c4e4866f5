
/* Handles upstream answers that must be routed again. */


#ifndef _NGX_HTTP_PUNIT_FOLLOW_H_INCLUDED_
#define _NGX_HTTP_PUNIT_FOLLOW_H_INCLUDED_


#include <ngx_http_punit.h>


/* The status of an upstream that was not looked at yet; 0: there is none. */

ngx_uint_t ngx_http_punit_follow_status(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* NGX_OK: there is a new route, steps go on from ctx->step; else the answer */

ngx_int_t ngx_http_punit_follow(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_uint_t status);


#endif /* _NGX_HTTP_PUNIT_FOLLOW_H_INCLUDED_ */
