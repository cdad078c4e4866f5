
/* The state file: peers that were marked down. */


#ifndef _NGX_HTTP_PUNIT_PEER_STATE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_PEER_STATE_H_INCLUDED_


#include <ngx_http_punit_peer.h>


/* Reads the file when the zone is new. */

ngx_int_t ngx_http_punit_peer_state_load(ngx_http_punit_main_conf_t *pmcf,
    ngx_log_t *log);


/*
 * Marks a peer.  The file comes first, so that what is answered holds.
 * NGX_OK; NGX_BUSY: another worker writes; NGX_ERROR: not written.
 */

ngx_int_t ngx_http_punit_peer_state_set(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_t *peer, ngx_uint_t state, ngx_log_t *log);


#endif /* _NGX_HTTP_PUNIT_PEER_STATE_H_INCLUDED_ */
