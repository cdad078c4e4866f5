
/* Variables $punit_... */


#ifndef _NGX_HTTP_PUNIT_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VARIABLES_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_PUNIT_VARIABLES_H_INCLUDED_ */
