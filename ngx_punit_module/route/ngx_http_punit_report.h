
/* Datagrams to the mover: which users are asked for, and where. */


#ifndef _NGX_HTTP_PUNIT_REPORT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REPORT_H_INCLUDED_


#include <ngx_http_punit.h>


/* For the LOG phase. */

ngx_int_t ngx_http_punit_report_log_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

ngx_int_t ngx_http_punit_report_init_process(ngx_cycle_t *cycle,
    ngx_http_punit_main_conf_t *pmcf);
void ngx_http_punit_report_exit_process(void);


#endif /* _NGX_HTTP_PUNIT_REPORT_H_INCLUDED_ */
