
/*
 * The grid: reads memcached without blocking.  Each worker process keeps a
 * connection to each server.  It pipelines the requests of all clients, and
 * one turn of the event loop sends them in one send().  A second connection
 * opens while the first is busy with a large value.
 *
 * The server of a key is the one that libmemcached chooses with
 *
 *     memcached_behavior_set(m, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
 *
 * and without MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS or AUTO_EJECT_HOSTS.
 * A program that fills the grid must set that, and name the servers by the
 * same text.  That is the host as written in "server HOST:PORT weight=N": a
 * name and its address are different hosts here.  A unix socket is named by
 * its path, with memcached_server_add_unix_socket_with_weight().  A single
 * server needs none of it.
 *
 * A server in trouble (refused, timed out, broken answer) gets no requests for
 * a back-off of 250 ms that doubles up to 8 s.  Then exactly one request tries
 * it again.
 */


#ifndef _NGX_HTTP_PUNIT_GRID_H_INCLUDED_
#define _NGX_HTTP_PUNIT_GRID_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_PUNIT_GRID_KEYS_MAX     8     /* keys of one get */
#define NGX_HTTP_PUNIT_GRID_SERVERS_MAX  64    /* of all grids */

#define NGX_HTTP_PUNIT_GRID_ID           32    /* SHA-256 of grid and name */


typedef struct ngx_http_punit_grid_s  ngx_http_punit_grid_t;


typedef struct {
    unsigned                        known:1;   /* 0: server in trouble */
    unsigned                        found:1;   /* 0: not there, or not known */
    uint32_t                        flags;     /* client flags */
    ngx_str_t                       data;      /* in r->pool */
} ngx_http_punit_grid_value_t;


/*
 * rc: NGX_OK: every value is known; NGX_ERROR: at least one is not, the others
 * are filled.  The n values are in the order of the keys and live in r->pool.
 */

typedef void (*ngx_http_punit_grid_pt)(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc);


/*
 * ngx_http_punit_grid_upstream.c, from the configuration to servers.
 *
 * A grid has the servers of "upstream NAME {}" (it may come later in the file)
 * or one server as HOST:PORT or unix:PATH.  grids: a member of the main
 * configuration, NULL at first, that keeps all grids.  Equal values give the
 * same grid.  NULL after a mistake, which was logged.
 */

ngx_http_punit_grid_t *ngx_http_punit_grid_upstream_add(ngx_conf_t *cf,
    ngx_array_t **grids, ngx_str_t *value);

/* For postconfiguration: finds the servers and computes the continuum. */

ngx_int_t ngx_http_punit_grid_upstream_init(ngx_conf_t *cf,
    ngx_array_t *grids);

/* For exit_process: closes what is open.  grids may be NULL. */

void ngx_http_punit_grid_exit(ngx_array_t *grids);


/*
 * Asks for 1..NGX_HTTP_PUNIT_GRID_KEYS_MAX keys (each 1..250 bytes of
 * 0x21..0x7e), which are copied.  NGX_AGAIN: handler will be called once, from
 * the event loop and never inside this call, unless the request ends before.
 * The caller makes sure that r is not finalized meanwhile.  NGX_ERROR: no
 * server of these keys can be asked now and handler will not be called.
 *
 * A handler that resumes r runs posted requests itself:
 * ngx_http_core_run_phases(r); ngx_http_run_posted_requests(c).
 */

ngx_int_t ngx_http_punit_grid_get(ngx_http_punit_grid_t *grid,
    ngx_http_request_t *r, ngx_str_t *keys, ngx_uint_t nkeys,
    ngx_http_punit_grid_pt handler, void *data);


/*
 * What all workers have seen of a server, in shared memory.  A server gets its
 * node when the zone is made or taken over, before there are workers.
 */

typedef struct {
    u_char                          id[NGX_HTTP_PUNIT_GRID_ID];
    ngx_uint_t                      named;     /* by which configuration */
    ngx_atomic_t                    asked;     /* keys */
    ngx_atomic_t                    hits;
    ngx_atomic_t                    failed;    /* connections lost, timeouts */
    ngx_atomic_t                    down;      /* seen last: a failure */
    time_t                          since;
} ngx_http_punit_grid_node_t;


typedef struct {
    ngx_str_t                       grid;      /* the upstream's name, or
                                                  that of the one server */
    ngx_str_t                       name;
    ngx_http_punit_grid_node_t    **node;
} ngx_http_punit_grid_view_t;


/* The i-th server of all grids; NGX_DECLINED past the last one. */

ngx_int_t ngx_http_punit_grid_view(ngx_array_t *grids, ngx_uint_t i,
    ngx_http_punit_grid_view_t *view);

/*
 * ngx_http_punit_grid_node.c: gives each server its node, one of
 * NGX_HTTP_PUNIT_GRID_SERVERS_MAX.  A known server keeps its node.  A new one
 * takes a node that the last configurations did not name.
 */

void ngx_http_punit_grid_node_assign(ngx_array_t *grids,
    ngx_http_punit_grid_node_t *nodes);


#endif /* _NGX_HTTP_PUNIT_GRID_H_INCLUDED_ */
