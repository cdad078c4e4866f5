
/* The id of a request: X-Request-Id. */


#ifndef _NGX_HTTP_PUNIT_REQUEST_ID_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REQUEST_ID_H_INCLUDED_


#include <ngx_http_punit.h>


/* ctx->request_id, made if there is none yet; NULL without memory. */

ngx_str_t *ngx_http_punit_request_id(ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_REQUEST_ID_H_INCLUDED_ */
