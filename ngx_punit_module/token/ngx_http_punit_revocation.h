
/* Access step: is the token revoked? */


#ifndef _NGX_HTTP_PUNIT_REVOCATION_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REVOCATION_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_revocation_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_REVOCATION_H_INCLUDED_ */
