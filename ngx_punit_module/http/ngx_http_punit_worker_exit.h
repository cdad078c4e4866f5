
/* The end of a worker process: kept connections get a last answer. */


#ifndef _NGX_HTTP_PUNIT_WORKER_EXIT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_WORKER_EXIT_H_INCLUDED_


#include <ngx_http_punit.h>


ngx_int_t ngx_http_punit_worker_exit_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_PUNIT_WORKER_EXIT_H_INCLUDED_ */
