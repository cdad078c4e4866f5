
/* punit_status: counters, peers and servers of grids; and marking a peer. */


#ifndef _NGX_HTTP_PUNIT_STATUS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_STATUS_H_INCLUDED_


#include <ngx_http_punit.h>
#include <jansson.h>


ngx_int_t ngx_http_punit_status_handler(ngx_http_request_t *r);


/* For the LOG phase: counts the request by route, latency and verdict. */

void ngx_http_punit_status_count(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* One peer; NULL without memory. */

json_t *ngx_http_punit_status_peer(ngx_http_punit_peer_t *peer);


/* Sends json and frees it; json may be NULL. */

ngx_int_t ngx_http_punit_status_send_json(ngx_http_request_t *r,
    json_t *json);


/* PUT .../peers/ID, in ngx_http_punit_status_put.c. */

ngx_int_t ngx_http_punit_status_put(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/*
 * The servers of the grids, in ngx_http_punit_status_grid.c: as JSON (NULL
 * without memory), the size of the text at most, and the text.
 */

json_t *ngx_http_punit_status_grid_json(ngx_http_punit_main_conf_t *pmcf);
size_t ngx_http_punit_status_grid_room(ngx_http_punit_main_conf_t *pmcf);
u_char *ngx_http_punit_status_grid_text(ngx_http_punit_main_conf_t *pmcf,
    u_char *p, u_char *last);


#endif /* _NGX_HTTP_PUNIT_STATUS_H_INCLUDED_ */
