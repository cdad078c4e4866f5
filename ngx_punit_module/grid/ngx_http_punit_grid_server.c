
/* One server: which connection to use, and when to pause. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid_server.h>
#include <ngx_http_punit_grid_slot.h>


#define NGX_HTTP_PUNIT_GRID_BACKOFF      250
#define NGX_HTTP_PUNIT_GRID_BACKOFF_MAX  8000

/* With so much of a value still to come, use the second connection. */

#define NGX_HTTP_PUNIT_GRID_LARGE        32768


static ngx_http_punit_grid_link_t *ngx_http_punit_grid_server_link(
    ngx_http_punit_grid_server_t *server);


void
ngx_http_punit_grid_server_init(ngx_http_punit_grid_server_t *server)
{
    ngx_uint_t                   i;
    ngx_http_punit_grid_link_t  *link;

    for (i = 0; i < NGX_HTTP_PUNIT_GRID_LINKS; i++) {
        link = &server->links[i];

        link->server = server;
        link->timer.handler = ngx_http_punit_grid_link_timer;
        link->timer.data = link;

        ngx_queue_init(&link->waiting);
    }
}


ngx_uint_t
ngx_http_punit_grid_server_down(ngx_http_punit_grid_server_t *server)
{
    if (server->failures == 0) {
        return 0;
    }

    return server->probe != NULL
           || (ngx_msec_int_t) (server->retry_at - ngx_current_msec) > 0;
}


ngx_int_t
ngx_http_punit_grid_server_ask(ngx_http_punit_grid_server_t *server,
    ngx_http_punit_grid_op_t *op, ngx_uint_t index, ngx_str_t *key)
{
    ngx_connection_t            *c;
    ngx_http_punit_grid_link_t  *link;
    ngx_http_punit_grid_slot_t  *slot;

    /* All keys of the request that tries the server again may go there. */

    if (ngx_http_punit_grid_server_down(server) && server->probe != op) {
        return NGX_ERROR;
    }

    link = ngx_http_punit_grid_server_link(server);

    if (link->connection == NULL
        && ngx_http_punit_grid_link_connect(link) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (link->out_last + key->len + NGX_HTTP_PUNIT_MEMCACHED_GET_LEN
        > NGX_HTTP_PUNIT_GRID_OUT)
    {
        /* The server does not read; the timer will tell whether it is dead. */
        return NGX_ERROR;
    }

    slot = ngx_http_punit_grid_slot_take();
    if (slot == NULL) {
        return NGX_ERROR;
    }

    link->out_last = ngx_http_punit_memcached_get(link->out + link->out_last,
                                                  key)
                     - link->out;

    slot->op = op;
    slot->index = index;
    slot->asked = ngx_current_msec;

    op->slots[index] = slot;
    op->pending++;

    ngx_queue_insert_tail(&link->waiting, &slot->queue);

    (void) ngx_atomic_fetch_add(&server->node->asked, 1);

    if (server->failures) {
        server->probe = op;
    }

    /* A worker that quits waits for this, but not for idle connections. */

    link->timer.cancelable = 0;

    if (!link->timer.timer_set) {
        ngx_add_timer(&link->timer, NGX_HTTP_PUNIT_GRID_TIMEOUT);
    }

    c = link->connection;
    c->idle = 0;

    /*
     * The write event runs at the end of this turn, and sends all in one
     * send().
     */

    if (!link->connecting && c->write->ready && !c->write->posted) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


static ngx_http_punit_grid_link_t *
ngx_http_punit_grid_server_link(ngx_http_punit_grid_server_t *server)
{
    ngx_uint_t                   i;
    ngx_http_punit_grid_link_t  *link;

    link = &server->links[0];

    if (link->rest < NGX_HTTP_PUNIT_GRID_LARGE) {
        return link;
    }

    for (i = 1; i < NGX_HTTP_PUNIT_GRID_LINKS; i++) {
        if (server->links[i].rest < link->rest) {
            link = &server->links[i];
        }
    }

    return link;
}


/*
 * For punit_status.  The last observation counts: a worker that has ended, or
 * no longer asks, must not decide for ever.
 */

void
ngx_http_punit_grid_server_seen(ngx_http_punit_grid_server_t *server,
    ngx_uint_t down)
{
    if (server->node->down != down) {
        server->node->down = down;
        server->node->since = ngx_time();
    }
}


void
ngx_http_punit_grid_server_fail(ngx_http_punit_grid_server_t *server,
    const char *why)
{
    ngx_msec_t  backoff;

    backoff = NGX_HTTP_PUNIT_GRID_BACKOFF_MAX;

    if (server->failures < 5) {
        backoff = NGX_HTTP_PUNIT_GRID_BACKOFF << server->failures;
    }

    (void) ngx_atomic_fetch_add(&server->node->failed, 1);
    ngx_http_punit_grid_server_seen(server, 1);

    server->failures++;
    server->probe = NULL;
    server->retry_at = ngx_current_msec + backoff;
    server->addr = (server->addr + 1) % server->naddrs;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "punit grid: server \"%V\" %s, left alone for %M ms",
                  &server->name, why, backoff);

    ngx_http_punit_grid_server_close(server);
}


void
ngx_http_punit_grid_server_close(ngx_http_punit_grid_server_t *server)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_PUNIT_GRID_LINKS; i++) {
        ngx_http_punit_grid_link_close(&server->links[i]);
    }
}
