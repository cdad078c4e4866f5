
/* The PREACCESS phase. */


#ifndef _NGX_HTTP_PUNIT_ACCESS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_ACCESS_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_access_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_PUNIT_ACCESS_H_INCLUDED_ */
