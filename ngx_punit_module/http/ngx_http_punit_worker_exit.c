
/*
 * A worker process that ends gracefully closes idle connections at once.  A
 * request that is on its way is lost then: a client, or a peer's nginx, that
 * keeps the connection cannot know.  So they stay open for a while here.  What
 * comes meanwhile is answered with "Connection: close", which loses nothing.
 *
 * nginx asks each idle connection to close, in the order of their places.  One
 * that belongs to no socket is put before all others.  When it is asked, it
 * makes the others wait.  nginx 1.27.4 has keepalive_min_timeout for this.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_worker_exit.h>


#define NGX_HTTP_PUNIT_WORKER_EXIT_TIME  1000    /* ms */


static void ngx_http_punit_worker_exit_begin(ngx_event_t *ev);
static void ngx_http_punit_worker_exit_over(ngx_event_t *ev);


/* nginx's handler of idle connections, which has no name outside its file */

static ngx_event_handler_pt  ngx_http_punit_worker_exit_idle;


ngx_int_t
ngx_http_punit_worker_exit_init_process(ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;

    c = ngx_get_connection((ngx_socket_t) 0, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->read->handler = ngx_http_punit_worker_exit_begin;
    c->read->log = cycle->log;
    c->idle = 1;

    return NGX_OK;
}


/*
 * HTTP/1 connections between two requests have the empty write handler.  An
 * HTTP/2 connection says GOAWAY, and one to an upstream may be closed.
 */

static void
ngx_http_punit_worker_exit_begin(ngx_event_t *ev)
{
    ngx_uint_t         i;
    ngx_connection_t  *c, *own;

    own = ev->data;
    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {

        if (c[i].fd == (ngx_socket_t) -1
            || !c[i].idle
            || c[i].listening == NULL
            || c[i].write->handler != ngx_http_empty_handler)
        {
            continue;
        }

        c[i].idle = 0;

        if (ngx_http_punit_worker_exit_idle == NULL) {
            ngx_http_punit_worker_exit_idle = c[i].read->handler;
        }

        if (c[i].read->handler == ngx_http_punit_worker_exit_idle) {
            c[i].read->handler = ngx_http_punit_worker_exit_over;
        }

        if (!c[i].read->timer_set
            || c[i].read->timer.key - ngx_current_msec
               > NGX_HTTP_PUNIT_WORKER_EXIT_TIME)
        {
            ngx_add_timer(c[i].read, NGX_HTTP_PUNIT_WORKER_EXIT_TIME);
        }
    }

    ngx_free_connection(own);
    own->fd = (ngx_socket_t) -1;
}


/*
 * nginx closes a connection when its time is over, although a request may have
 * come since the last look at it.  A busy machine makes that a long time.
 */

static void
ngx_http_punit_worker_exit_over(ngx_event_t *ev)
{
    u_char             byte;
    ngx_connection_t  *c;

    c = ev->data;

    if (ev->timedout && !c->close
        && recv(c->fd, &byte, 1, MSG_PEEK|MSG_DONTWAIT) > 0)
    {
        ev->timedout = 0;
        ev->ready = 1;
        ngx_add_timer(ev, NGX_HTTP_PUNIT_WORKER_EXIT_TIME);
    }

    ev->handler = ngx_http_punit_worker_exit_idle;
    ev->handler(ev);
}
