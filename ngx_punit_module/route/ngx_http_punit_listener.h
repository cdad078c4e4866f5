
/* The peer listener: which peer forwarded a request, and what it says. */


#ifndef _NGX_HTTP_PUNIT_LISTENER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_LISTENER_H_INCLUDED_


#include <ngx_http_punit.h>


/* NGX_OK, or the answer. */

ngx_int_t ngx_http_punit_listener_check(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* Refuses a listener that does not verify certificates. */

ngx_int_t ngx_http_punit_listener_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_PUNIT_LISTENER_H_INCLUDED_ */
