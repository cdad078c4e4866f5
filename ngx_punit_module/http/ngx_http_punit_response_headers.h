
/* The header filter: what leaves the unit, to clients and to peers. */


#ifndef _NGX_HTTP_PUNIT_RESPONSE_HEADERS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_RESPONSE_HEADERS_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_response_headers_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_PUNIT_RESPONSE_HEADERS_H_INCLUDED_ */
