
/* The POST_READ phase: drops the headers that clients must not send. */


#ifndef _NGX_HTTP_PUNIT_REQUEST_HEADERS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REQUEST_HEADERS_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_request_headers_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_PUNIT_REQUEST_HEADERS_H_INCLUDED_ */
