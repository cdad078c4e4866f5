
/*
 * Consistent hashing as in libmemcached with
 * MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED: 160 points a server by MD5 of
 * "host:port-n" ("host-n" for port 11211), shared by weight.  The server of a
 * key owns the first point at or after the hash of the key.
 */


#ifndef _NGX_HTTP_PUNIT_KETAMA_H_INCLUDED_
#define _NGX_HTTP_PUNIT_KETAMA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_PUNIT_KETAMA_POINTS  160      /* of a server, on average */

/* Rounding may add points: the points of one extra server are enough room. */

#define ngx_http_punit_ketama_room(n)                                         \
    (((n) + 1) * NGX_HTTP_PUNIT_KETAMA_POINTS)


typedef struct {
    ngx_str_t                       host;      /* a socket: its path */
    ngx_uint_t                      port;      /* a socket: 0 */
    ngx_uint_t                      weight;    /* from 1 */
} ngx_http_punit_ketama_server_t;


typedef struct {
    uint32_t                        hash;
    uint32_t                        server;    /* index into the servers */
} ngx_http_punit_ketama_point_t;


/*
 * Fills points, which has ngx_http_punit_ketama_room(n) elements, and sorts
 * them.  Gives their number.
 */

ngx_uint_t ngx_http_punit_ketama_build(ngx_http_punit_ketama_point_t *points,
    const ngx_http_punit_ketama_server_t *servers, ngx_uint_t n);

/* The index of the server for a key; npoints > 0. */

ngx_uint_t ngx_http_punit_ketama_find(
    const ngx_http_punit_ketama_point_t *points, ngx_uint_t npoints,
    const ngx_str_t *key);


#endif /* _NGX_HTTP_PUNIT_KETAMA_H_INCLUDED_ */
