
/* The grid: what requests ask of its servers, and what they are answered. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_grid_server.h>
#include <ngx_http_punit_ketama.h>


static void ngx_http_punit_grid_detach(void *data);
static void ngx_http_punit_grid_done_handler(ngx_event_t *ev);


/* Of this process: operations whose handler runs in this turn. */

static ngx_queue_t  ngx_http_punit_grid_done;
static ngx_event_t  ngx_http_punit_grid_done_event;


void
ngx_http_punit_grid_exit(ngx_array_t *grids)
{
    ngx_uint_t               i, k;
    ngx_http_punit_grid_t  **gridp;

    if (grids == NULL) {
        return;
    }

    gridp = grids->elts;

    for (i = 0; i < grids->nelts; i++) {
        for (k = 0; k < gridp[i]->nservers; k++) {
            ngx_http_punit_grid_server_close(&gridp[i]->servers[k]);
        }
    }
}


ngx_int_t
ngx_http_punit_grid_get(ngx_http_punit_grid_t *grid, ngx_http_request_t *r,
    ngx_str_t *keys, ngx_uint_t nkeys, ngx_http_punit_grid_pt handler,
    void *data)
{
    ngx_uint_t                 i, server;
    ngx_http_punit_grid_op_t  *op;

    if (nkeys == 0 || nkeys > NGX_HTTP_PUNIT_GRID_KEYS_MAX) {
        return NGX_ERROR;
    }

    if (grid->nservers == 1
        && ngx_http_punit_grid_server_down(&grid->servers[0]))
    {
        /* The most common trouble costs no allocation. */
        return NGX_ERROR;
    }

    for (i = 0; i < nkeys; i++) {
        if (!ngx_http_punit_memcached_key(&keys[i])) {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "punit grid: key of %uz bytes is not one that "
                          "memcached takes", keys[i].len);
            return NGX_ERROR;
        }
    }

    /*
     * The structure has one slot itself: the extra one is room for alignment.
     */

    op = ngx_pcalloc(r->pool, sizeof(ngx_http_punit_grid_op_t)
                              + nkeys * sizeof(ngx_http_punit_grid_slot_t *)
                              + nkeys * sizeof(ngx_http_punit_grid_value_t));
    if (op == NULL) {
        return NGX_ERROR;
    }

    op->values = (ngx_http_punit_grid_value_t *) &op->slots[nkeys];

    op->cleanup = ngx_http_cleanup_add(r, 0);
    if (op->cleanup == NULL) {
        return NGX_ERROR;
    }

    op->request = r;
    op->handler = handler;
    op->data = data;
    op->n = nkeys;
    op->rc = NGX_OK;

    op->cleanup->handler = ngx_http_punit_grid_detach;
    op->cleanup->data = op;

    /*
     * Hold the operation: a connection that fails meanwhile must not end it.
     */

    op->pending = 1;

    for (i = 0; i < nkeys; i++) {
        server = grid->points ? ngx_http_punit_ketama_find(grid->points,
                                                    grid->npoints, &keys[i])
                              : 0;

        if (ngx_http_punit_grid_server_ask(&grid->servers[server], op, i,
                                           &keys[i])
            != NGX_OK)
        {
            op->rc = NGX_ERROR;
        }
    }

    op->pending--;

    if (op->pending == 0) {
        op->cleanup->handler = NULL;
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "punit grid: %ui of %ui keys asked", op->pending, nkeys);

    return NGX_AGAIN;
}


/* The request ended first.  Its places in the pipelines stay unused. */

static void
ngx_http_punit_grid_detach(void *data)
{
    ngx_http_punit_grid_op_t  *op = data;

    ngx_uint_t  i;

    for (i = 0; i < op->n; i++) {
        if (op->slots[i]) {
            op->slots[i]->op = NULL;
        }
    }

    if (op->done) {
        ngx_queue_remove(&op->queue);
    }
}


void
ngx_http_punit_grid_answered(ngx_http_punit_grid_slot_t *slot)
{
    ngx_http_punit_grid_op_t  *op;

    op = slot->op;

    if (op == NULL) {
        return;
    }

    slot->op = NULL;
    op->slots[slot->index] = NULL;

    if (!op->values[slot->index].known) {
        op->rc = NGX_ERROR;
    }

    if (--op->pending) {
        return;
    }

    /*
     * A handler may do anything, even end the connection that is being read.
     * So handlers run on their own, in the same turn of the event loop.
     */

    if (ngx_http_punit_grid_done_event.handler == NULL) {
        ngx_queue_init(&ngx_http_punit_grid_done);
        ngx_http_punit_grid_done_event.handler =
                                             ngx_http_punit_grid_done_handler;
        ngx_http_punit_grid_done_event.log = ngx_cycle->log;
    }

    op->done = 1;
    ngx_queue_insert_tail(&ngx_http_punit_grid_done, &op->queue);

    if (!ngx_http_punit_grid_done_event.posted) {
        ngx_post_event(&ngx_http_punit_grid_done_event, &ngx_posted_events);
    }
}


static void
ngx_http_punit_grid_done_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q;
    ngx_http_punit_grid_op_t  *op;

    while (!ngx_queue_empty(&ngx_http_punit_grid_done)) {

        q = ngx_queue_head(&ngx_http_punit_grid_done);
        op = ngx_queue_data(q, ngx_http_punit_grid_op_t, queue);

        ngx_queue_remove(q);

        op->done = 0;
        op->cleanup->handler = NULL;

        op->handler(op->request, op->data, op->values, op->n, op->rc);
    }
}


ngx_int_t
ngx_http_punit_grid_view(ngx_array_t *grids, ngx_uint_t i,
    ngx_http_punit_grid_view_t *view)
{
    ngx_uint_t               g;
    ngx_http_punit_grid_t  **gridp;

    if (grids == NULL) {
        return NGX_DECLINED;
    }

    gridp = grids->elts;

    for (g = 0; g < grids->nelts; g++) {

        if (i < gridp[g]->nservers) {
            view->name = gridp[g]->servers[i].name;
            view->grid = (gridp[g]->uscf->flags & NGX_HTTP_UPSTREAM_CREATE)
                         ? gridp[g]->uscf->host : view->name;
            view->node = &gridp[g]->servers[i].node;

            return NGX_OK;
        }

        i -= gridp[g]->nservers;
    }

    return NGX_DECLINED;
}
