
/*
 * One memcached server as a worker process sees it: its connections, what is
 * asked on them, and whether to pause.  And the grid, which is made of such
 * servers.  Only the grid includes this.
 */


#ifndef _NGX_HTTP_PUNIT_GRID_SERVER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_GRID_SERVER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_ketama.h>
#include <ngx_http_punit_memcached.h>


/*
 * One connection for nearly everything; the second while a large value fills
 * the first.
 */

#define NGX_HTTP_PUNIT_GRID_LINKS    2

/*
 * Milliseconds from a key in the pipeline, or from the last octet received, to
 * the answer.  Connecting is included.
 */

#define NGX_HTTP_PUNIT_GRID_TIMEOUT  100

#define NGX_HTTP_PUNIT_GRID_IN       16384     /* of a connection's buffers */
#define NGX_HTTP_PUNIT_GRID_OUT      32768


typedef struct ngx_http_punit_grid_op_s      ngx_http_punit_grid_op_t;
typedef struct ngx_http_punit_grid_slot_s    ngx_http_punit_grid_slot_t;
typedef struct ngx_http_punit_grid_server_s  ngx_http_punit_grid_server_t;


/* A place in the pipeline.  It outlives a request that ends too early. */

struct ngx_http_punit_grid_slot_s {
    ngx_queue_t                     queue;
    ngx_http_punit_grid_op_t       *op;        /* NULL: nobody waits */
    ngx_uint_t                      index;     /* of the key in the op */
    ngx_msec_t                      asked;
};


/* One ngx_http_punit_grid_get(), in the pool of the request. */

struct ngx_http_punit_grid_op_s {
    ngx_queue_t                     queue;     /* of those that are done */
    ngx_http_request_t             *request;
    ngx_http_cleanup_t             *cleanup;
    ngx_http_punit_grid_pt          handler;
    void                           *data;
    ngx_http_punit_grid_value_t    *values;
    ngx_uint_t                      n;
    ngx_uint_t                      pending;
    ngx_int_t                       rc;
    unsigned                        done:1;    /* it is in the queue */
    ngx_http_punit_grid_slot_t     *slots[1];  /* NULL: answered */
};


typedef struct {
    ngx_http_punit_grid_server_t   *server;
    ngx_connection_t               *connection;
    ngx_queue_t                     waiting;   /* slots, oldest first */
    ngx_event_t                     timer;
    ngx_msec_t                      progress;  /* when octets came last */

    u_char                         *out;       /* commands not yet sent */
    size_t                          out_pos;
    size_t                          out_last;

    u_char                         *in;        /* octets not yet parsed */
    size_t                          in_pos;
    size_t                          in_last;

    u_char                         *value;     /* where the value goes */
    size_t                          rest;      /* octets of it to come */
    unsigned                        body:1;    /* between head and CR LF */
    unsigned                        connecting:1;
} ngx_http_punit_grid_link_t;


struct ngx_http_punit_grid_server_s {
    ngx_str_t                       name;
    ngx_str_t                       host;      /* as ketama wants it */
    ngx_uint_t                      port;
    ngx_uint_t                      weight;
    ngx_addr_t                     *addrs;
    ngx_uint_t                      naddrs;
    ngx_uint_t                      addr;      /* the one in use */

    /* of this process */

    ngx_http_punit_grid_link_t      links[NGX_HTTP_PUNIT_GRID_LINKS];
    ngx_uint_t                      failures;  /* in a row */
    ngx_msec_t                      retry_at;
    void                           *probe;     /* the op that tries it again */

    ngx_http_punit_grid_node_t     *node;      /* of all processes */
};


struct ngx_http_punit_grid_s {
    ngx_http_upstream_srv_conf_t   *uscf;
    ngx_http_punit_grid_server_t   *servers;
    ngx_uint_t                      nservers;
    ngx_http_punit_ketama_point_t  *points;    /* NULL: one server */
    ngx_uint_t                      npoints;
};


void ngx_http_punit_grid_server_init(ngx_http_punit_grid_server_t *server);

/*
 * Puts one key of op into the pipeline.  NGX_ERROR: the server is paused,
 * unreachable, or has no room, so the value stays unknown.
 */

ngx_int_t ngx_http_punit_grid_server_ask(ngx_http_punit_grid_server_t *server,
    ngx_http_punit_grid_op_t *op, ngx_uint_t index, ngx_str_t *key);

/* 1: paused until retry_at, or one request tries it already. */

ngx_uint_t ngx_http_punit_grid_server_down(
    ngx_http_punit_grid_server_t *server);

/*
 * Handles a failure.  why: what the server did, for the log.  All connections
 * are closed, and requests that wait learn that no answer will come.
 */

void ngx_http_punit_grid_server_fail(ngx_http_punit_grid_server_t *server,
    const char *why);

void ngx_http_punit_grid_server_seen(ngx_http_punit_grid_server_t *server,
    ngx_uint_t down);

void ngx_http_punit_grid_server_close(ngx_http_punit_grid_server_t *server);


/* In ngx_http_punit_grid_link.c; a connect that fails fails the server. */

ngx_int_t ngx_http_punit_grid_link_connect(ngx_http_punit_grid_link_t *link);
void ngx_http_punit_grid_link_timer(ngx_event_t *ev);
void ngx_http_punit_grid_link_close(ngx_http_punit_grid_link_t *link);


/* In ngx_http_punit_grid.c: a value is known, or never will be. */

void ngx_http_punit_grid_answered(ngx_http_punit_grid_slot_t *slot);


#endif /* _NGX_HTTP_PUNIT_GRID_SERVER_H_INCLUDED_ */
