
/*
 * Units: this one and its peers.  A peer's id is also the name of the upstream
 * block that its requests are sent to.
 */


#ifndef _NGX_HTTP_PUNIT_PEER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_PEER_H_INCLUDED_


#include <ngx_http_punit.h>
#include <ngx_http_punit_syntax.h>


#define NGX_HTTP_PUNIT_PEERS_MAX     64

#define NGX_HTTP_PUNIT_PEER_UNSET    0
#define NGX_HTTP_PUNIT_PEER_UP       1
#define NGX_HTTP_PUNIT_PEER_DOWN     2


/* A peer's place in the zone. */

struct ngx_http_punit_peer_node_s {
    u_char                          id[NGX_HTTP_PUNIT_UNIT_MAX];
    size_t                          len;
    ngx_uint_t                      configured; /* state the file last said */
    ngx_atomic_t                    down;
    time_t                          since;
    ngx_atomic_t                    forwarded;  /* requests sent there */
    ngx_atomic_t                    received;   /* requests from there */
    ngx_atomic_t                    unreachable;
    ngx_atomic_t                    refused;    /* 421s */
};


/* The peer of that id, NULL if there is none. */

ngx_http_punit_peer_t *ngx_http_punit_peer(ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *id);


/*
 * The configuration's own text of the id of a unit, NULL if there is no such
 * unit.  Two units are the same if these are the same text.
 */

ngx_str_t *ngx_http_punit_peer_unit(ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *id);


/* Checks the peers of a configuration that is complete. */

ngx_int_t ngx_http_punit_peer_init(ngx_conf_t *cf);


/*
 * Gives each configured peer its place among NGX_HTTP_PUNIT_PEERS_MAX, of
 * which *n are taken.  A zone without peers is new: it takes over what was
 * marked in the zone before it.
 */

ngx_int_t ngx_http_punit_peer_place(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_node_t *nodes, ngx_uint_t *n, ngx_log_t *log);


#endif /* _NGX_HTTP_PUNIT_PEER_H_INCLUDED_ */
