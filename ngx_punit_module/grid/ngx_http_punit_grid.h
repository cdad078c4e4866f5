
/*
 * The grid: reads memcached without blocking.  Each worker process keeps a
 * connection to each server and pipelines the requests of all clients on it,
 * what one turn of the event loop asks goes out in one send().  (A second
 * connection is opened while the first is busy with a large value.)
 *
 * Which server holds a key is decided as libmemcached does it with
 *
 *     memcached_behavior_set(m, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
 *
 * and no MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS or AUTO_EJECT_HOSTS: so
 * whoever fills the grid must set that, and name the servers by the same text:
 * the host as written in "server HOST:PORT weight=N" (a name and its address
 * are not the same host here), a unix socket by its path, with
 * memcached_server_add_unix_socket_with_weight().  A single server needs none
 * of it.
 *
 * A server in trouble (refused, timed out, broken answer) is left alone for
 * a back-off of 250 ms that doubles up to 8 s; then one request, and only
 * one, tries it again.
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
 * rc NGX_OK: every value is known; NGX_ERROR: at least one is not (the others
 * are filled).  values are n, in the order of the keys, and live in r->pool.
 */

typedef void (*ngx_http_punit_grid_pt)(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc);


/*
 * Configuration: the servers of "upstream NAME {}" (it may come later in the
 * file) or one server as HOST:PORT or unix:PATH.  grids: a member of the main
 * configuration, NULL at first, where all grids are kept; equal values give
 * the same grid.  NULL after a mistake, which was logged.
 */

ngx_http_punit_grid_t *ngx_http_punit_grid_create(ngx_conf_t *cf,
    ngx_array_t **grids, ngx_str_t *value);

/* to be called in postconfiguration: finds servers, computes the continuum */

ngx_int_t ngx_http_punit_grid_init(ngx_conf_t *cf, ngx_array_t *grids);

/* to be called in exit_process: closes what is open.  grids may be NULL */

void ngx_http_punit_grid_exit(ngx_array_t *grids);


/*
 * Asks for 1..NGX_HTTP_PUNIT_GRID_KEYS_MAX keys (each 1..250 bytes of
 * 0x21..0x7e).  NGX_AGAIN: handler will be called once, from the event loop
 * and never from inside this call, unless the request ends before that.
 * NGX_ERROR: no server of these keys can be asked now, handler will not be
 * called: go on without the grid.  Keys are copied.  Who gets NGX_AGAIN takes
 * care that r is not finalized meanwhile.
 * The handler runs posted requests itself if it resumes r:
 * ngx_http_core_run_phases(r); ngx_http_run_posted_requests(c).
 */

ngx_int_t ngx_http_punit_grid_get(ngx_http_punit_grid_t *grid,
    ngx_http_request_t *r, ngx_str_t *keys, ngx_uint_t nkeys,
    ngx_http_punit_grid_pt handler, void *data);


/*
 * What all workers have seen of a server, in shared memory.  Its place is
 * given when the zone is made or taken over, before there are workers.
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


/* the i-th server of all grids; NGX_DECLINED past the last one */

ngx_int_t ngx_http_punit_grid_view(ngx_array_t *grids, ngx_uint_t i,
    ngx_http_punit_grid_view_t *view);

/*
 * Gives each server its place among NGX_HTTP_PUNIT_GRID_SERVERS_MAX.  Who was
 * there keeps it; a new one takes that of a server which was named by none of
 * the last configurations.
 */

void ngx_http_punit_grid_place(ngx_array_t *grids,
    ngx_http_punit_grid_node_t *nodes);


#endif /* _NGX_HTTP_PUNIT_GRID_H_INCLUDED_ */
