
/* One connection: commands out, answers in, in the same order. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid_server.h>
#include <ngx_http_punit_grid_slot.h>


/* Bytes that are read at once, before other connections get their turn. */

#define NGX_HTTP_PUNIT_GRID_TURN  262144


static ngx_int_t ngx_http_punit_grid_link_connected(ngx_connection_t *c);
static void ngx_http_punit_grid_link_write(ngx_event_t *wev);
static void ngx_http_punit_grid_link_read(ngx_event_t *rev);
static ngx_int_t ngx_http_punit_grid_link_process(
    ngx_http_punit_grid_link_t *link);
static ngx_int_t ngx_http_punit_grid_link_head(
    ngx_http_punit_grid_link_t *link);
static ngx_int_t ngx_http_punit_grid_link_body(
    ngx_http_punit_grid_link_t *link);
static void ngx_http_punit_grid_link_next(ngx_http_punit_grid_link_t *link);
static void ngx_http_punit_grid_link_idle(ngx_http_punit_grid_link_t *link);


#define ngx_http_punit_grid_link_slot(link)                                   \
    (ngx_queue_data(ngx_queue_head(&(link)->waiting),                         \
                    ngx_http_punit_grid_slot_t, queue))


ngx_int_t
ngx_http_punit_grid_link_connect(ngx_http_punit_grid_link_t *link)
{
    ngx_int_t                      rc;
    ngx_addr_t                    *addr;
    ngx_connection_t              *c;
    ngx_peer_connection_t          pc;
    ngx_http_punit_grid_server_t  *server;

    server = link->server;

    if (link->in == NULL) {
        link->in = ngx_palloc(ngx_cycle->pool, NGX_HTTP_PUNIT_GRID_IN);
        if (link->in == NULL) {
            return NGX_ERROR;
        }
    }

    if (link->out == NULL) {
        link->out = ngx_palloc(ngx_cycle->pool, NGX_HTTP_PUNIT_GRID_OUT);
        if (link->out == NULL) {
            return NGX_ERROR;
        }
    }

    addr = &server->addrs[server->addr];

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = addr->sockaddr;
    pc.socklen = addr->socklen;
    pc.name = &addr->name;
    pc.get = ngx_event_get_peer;
    pc.log = ngx_cycle->log;
    pc.log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {

        if (pc.connection) {
            ngx_close_connection(pc.connection);
        }

        ngx_http_punit_grid_server_fail(server, "cannot be connected to");
        return NGX_ERROR;
    }

    c = pc.connection;

    c->data = link;
    c->read->handler = ngx_http_punit_grid_link_read;
    c->write->handler = ngx_http_punit_grid_link_write;

    c->sockaddr = addr->sockaddr;
    c->socklen = addr->socklen;

    link->connection = c;
    link->connecting = (rc == NGX_AGAIN);
    link->progress = ngx_current_msec;
    link->timer.log = c->log;

    if (rc == NGX_OK) {
        c->write->ready = 1;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "punit grid: connect to \"%V\": %i", &server->name, rc);

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_link_connected(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        return NGX_ERROR;
    }

    if (c->sockaddr->sa_family != AF_UNIX && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_punit_grid_link_write(ngx_event_t *wev)
{
    ssize_t                      n;
    ngx_connection_t            *c;
    ngx_http_punit_grid_link_t  *link;

    c = wev->data;
    link = c->data;

    if (link->connecting) {

        if (ngx_http_punit_grid_link_connected(c) != NGX_OK) {
            ngx_http_punit_grid_server_fail(link->server,
                                            "cannot be connected to");
            return;
        }

        link->connecting = 0;

        if (c->read->ready && !c->read->posted) {
            /* The connection may have been closed at once. */
            ngx_post_event(c->read, &ngx_posted_events);
        }
    }

    while (link->out_pos < link->out_last) {

        n = c->send(c, link->out + link->out_pos,
                    link->out_last - link->out_pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_punit_grid_server_fail(link->server,
                                            "closed the connection");
            return;
        }

        link->out_pos += n;
    }

    if (link->out_pos == link->out_last) {
        link->out_pos = 0;
        link->out_last = 0;

    } else if (link->out_pos > NGX_HTTP_PUNIT_GRID_OUT / 2) {
        ngx_memmove(link->out, link->out + link->out_pos,
                    link->out_last - link->out_pos);
        link->out_last -= link->out_pos;
        link->out_pos = 0;
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_punit_grid_server_fail(link->server, "cannot be waited for");
    }
}


static void
ngx_http_punit_grid_link_read(ngx_event_t *rev)
{
    size_t                       size, turn;
    u_char                      *p;
    ssize_t                      n;
    ngx_connection_t            *c;
    ngx_http_punit_grid_link_t  *link;

    c = rev->data;
    link = c->data;

    if (c->close && ngx_queue_empty(&link->waiting)) {
        ngx_http_punit_grid_link_close(link);
        return;
    }

    if (link->connecting) {
        /* The write event tells how that ends. */
        return;
    }

    if (link->value && ngx_http_punit_grid_link_slot(link)->op == NULL) {
        /* The request has ended, and its pool with it. */
        link->value = NULL;
    }

    turn = 0;

    for ( ;; ) {

        if (turn >= NGX_HTTP_PUNIT_GRID_TURN) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        /* The rest of a large value is read straight to its place. */

        if (link->in_pos == link->in_last) {
            link->in_pos = 0;
            link->in_last = 0;
        }

        if (link->value && link->in_last == 0
            && link->rest >= NGX_HTTP_PUNIT_GRID_IN / 2)
        {
            p = link->value;
            size = link->rest;

        } else {

            if (link->in_pos) {
                ngx_memmove(link->in, link->in + link->in_pos,
                            link->in_last - link->in_pos);
                link->in_last -= link->in_pos;
                link->in_pos = 0;
            }

            p = link->in + link->in_last;
            size = NGX_HTTP_PUNIT_GRID_IN - link->in_last;
        }

        n = c->recv(c, p, size);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {

            if (ngx_queue_empty(&link->waiting)) {
                /* It was idle: the next request connects again. */
                ngx_http_punit_grid_link_close(link);
                return;
            }

            ngx_http_punit_grid_server_fail(link->server,
                                            "closed the connection");
            return;
        }

        turn += n;
        link->progress = ngx_current_msec;

        if (p == link->value) {
            link->value += n;
            link->rest -= n;

        } else {
            link->in_last += n;
        }

        if (ngx_http_punit_grid_link_process(link) != NGX_OK) {
            ngx_http_punit_grid_server_fail(link->server,
                                       "sent what is no answer to a meta get "
                                       "of memcached 1.6");
            return;
        }

        if (!rev->ready) {
            break;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_punit_grid_server_fail(link->server, "cannot be waited for");
        return;
    }

    if (ngx_queue_empty(&link->waiting)) {
        ngx_http_punit_grid_link_idle(link);
    }
}


/*
 * NGX_OK: all complete answers were parsed; NGX_ERROR: the stream is broken.
 */

static ngx_int_t
ngx_http_punit_grid_link_process(ngx_http_punit_grid_link_t *link)
{
    ngx_int_t  rc;

    do {
        if (link->body) {
            rc = ngx_http_punit_grid_link_body(link);

        } else if (link->in_pos < link->in_last) {
            rc = ngx_http_punit_grid_link_head(link);

        } else {
            rc = NGX_AGAIN;
        }

    } while (rc == NGX_OK);

    return rc == NGX_AGAIN ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_punit_grid_link_head(ngx_http_punit_grid_link_t *link)
{
    ngx_int_t                           rc;
    ngx_http_punit_grid_op_t           *op;
    ngx_http_punit_grid_slot_t         *slot;
    ngx_http_punit_grid_value_t        *value;
    ngx_http_punit_grid_server_t       *server;
    ngx_http_punit_memcached_answer_t   answer;

    if (ngx_queue_empty(&link->waiting)) {
        /* Nothing was asked. */
        return NGX_ERROR;
    }

    rc = ngx_http_punit_memcached_parse(&answer, link->in + link->in_pos,
                                        link->in_last - link->in_pos);
    if (rc != NGX_OK) {
        return rc;
    }

    link->in_pos += answer.head;

    server = link->server;

    ngx_http_punit_grid_server_seen(server, 0);

    if (server->failures) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "punit grid: server \"%V\" answers again",
                      &server->name);
        server->failures = 0;
        server->probe = NULL;
    }

    slot = ngx_http_punit_grid_link_slot(link);
    op = slot->op;
    value = op ? &op->values[slot->index] : NULL;

    if (answer.kind != NGX_HTTP_PUNIT_MEMCACHED_HIT) {

        if (value) {
            value->known = (answer.kind == NGX_HTTP_PUNIT_MEMCACHED_MISS);
        }

        ngx_http_punit_grid_link_next(link);
        return NGX_OK;
    }

    (void) ngx_atomic_fetch_add(&server->node->hits, 1);

    link->body = 1;
    link->rest = answer.size;
    link->value = NULL;

    if (value) {
        /* Without memory the value is skipped, and stays unknown. */

        value->data.data = ngx_pnalloc(op->request->pool,
                                       ngx_max(answer.size, 1));
        value->data.len = answer.size;
        value->flags = answer.flags;

        link->value = value->data.data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_link_body(ngx_http_punit_grid_link_t *link)
{
    size_t                        n;
    ngx_http_punit_grid_slot_t   *slot;
    ngx_http_punit_grid_value_t  *value;

    n = ngx_min(link->rest, link->in_last - link->in_pos);

    if (link->value) {
        link->value = ngx_cpymem(link->value, link->in + link->in_pos, n);
    }

    link->in_pos += n;
    link->rest -= n;

    if (link->rest || link->in_last - link->in_pos < 2) {
        return NGX_AGAIN;
    }

    if (link->in[link->in_pos] != CR || link->in[link->in_pos + 1] != LF) {
        return NGX_ERROR;
    }

    link->in_pos += 2;

    if (link->value) {
        slot = ngx_http_punit_grid_link_slot(link);
        value = &slot->op->values[slot->index];
        value->known = 1;
        value->found = 1;
    }

    link->body = 0;
    link->value = NULL;

    ngx_http_punit_grid_link_next(link);

    return NGX_OK;
}


static void
ngx_http_punit_grid_link_next(ngx_http_punit_grid_link_t *link)
{
    ngx_http_punit_grid_slot_t  *slot;

    slot = ngx_http_punit_grid_link_slot(link);

    ngx_queue_remove(&slot->queue);
    ngx_http_punit_grid_answered(slot);
    ngx_http_punit_grid_slot_free(slot);
}


static void
ngx_http_punit_grid_link_idle(ngx_http_punit_grid_link_t *link)
{
    /* The timer expires on its own, so a request needs no extra work. */

    link->timer.cancelable = 1;

    if (ngx_exiting || ngx_terminate) {
        ngx_http_punit_grid_link_close(link);
        return;
    }

    /* nginx closes it when the worker quits. */

    link->connection->idle = 1;
}


void
ngx_http_punit_grid_link_timer(ngx_event_t *ev)
{
    ngx_msec_t                   since;
    ngx_msec_int_t               left;
    ngx_http_punit_grid_link_t  *link;
    ngx_http_punit_grid_slot_t  *slot;

    link = ev->data;

    if (ngx_queue_empty(&link->waiting)) {
        return;
    }

    slot = ngx_http_punit_grid_link_slot(link);

    since = slot->asked;

    if ((ngx_msec_int_t) (link->progress - since) > 0) {
        since = link->progress;
    }

    left = (ngx_msec_int_t) (since + NGX_HTTP_PUNIT_GRID_TIMEOUT
                             - ngx_current_msec);

    if (left > 0) {
        ngx_add_timer(&link->timer, (ngx_msec_t) left);
        return;
    }

    ngx_http_punit_grid_server_fail(link->server,
                                    link->connecting ? "timed out (connecting)"
                                                     : "timed out");
}


/* Requests that wait learn that no answer will come. */

void
ngx_http_punit_grid_link_close(ngx_http_punit_grid_link_t *link)
{
    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->connection) {
        ngx_close_connection(link->connection);
        link->connection = NULL;
    }

    link->connecting = 0;
    link->body = 0;
    link->value = NULL;
    link->rest = 0;
    link->in_pos = 0;
    link->in_last = 0;
    link->out_pos = 0;
    link->out_last = 0;

    while (!ngx_queue_empty(&link->waiting)) {
        ngx_http_punit_grid_link_next(link);
    }
}
