
/*
 * Places in the pipelines of a worker process: one for each key that is asked.
 * A place outlives a request that ends too early.
 */


#ifndef _NGX_HTTP_PUNIT_GRID_SLOT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_GRID_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_grid_server.h>


/* A place for the caller to fill; NULL: no memory. */

ngx_http_punit_grid_slot_t *ngx_http_punit_grid_slot_take(void);

/* Gives back a place that stands in no queue. */

void ngx_http_punit_grid_slot_free(ngx_http_punit_grid_slot_t *slot);


#endif /* _NGX_HTTP_PUNIT_GRID_SLOT_H_INCLUDED_ */
