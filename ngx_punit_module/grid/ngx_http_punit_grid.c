
/* The grid: servers of a configuration, and what requests ask of them. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_grid_server.h>
#include <ngx_http_punit_ketama.h>


struct ngx_http_punit_grid_s {
    ngx_http_upstream_srv_conf_t   *uscf;
    ngx_http_punit_grid_server_t   *servers;
    ngx_uint_t                      nservers;
    ngx_http_punit_ketama_point_t  *points;    /* NULL: one server */
    ngx_uint_t                      npoints;
};


static ngx_int_t ngx_http_punit_grid_servers(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);
static ngx_int_t ngx_http_punit_grid_server(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid, ngx_http_punit_grid_server_t *server,
    ngx_http_upstream_server_t *us);
static ngx_int_t ngx_http_punit_grid_resolve(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);
static ngx_int_t ngx_http_punit_grid_continuum(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);
static void ngx_http_punit_grid_detach(void *data);
static void ngx_http_punit_grid_done_handler(ngx_event_t *ev);


/* Of this process: operations whose handler runs in this turn. */

static ngx_queue_t  ngx_http_punit_grid_done;
static ngx_event_t  ngx_http_punit_grid_done_event;


ngx_http_punit_grid_t *
ngx_http_punit_grid_create(ngx_conf_t *cf, ngx_array_t **grids,
    ngx_str_t *value)
{
    ngx_url_t                       u;
    ngx_uint_t                      i;
    ngx_http_punit_grid_t         **gridp;
    ngx_http_upstream_srv_conf_t   *uscf;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.no_resolve = 1;

    uscf = ngx_http_upstream_add(cf, &u, 0);
    if (uscf == NULL) {
        return NULL;
    }

    if (*grids == NULL) {
        *grids = ngx_array_create(cf->pool, 2,
                                  sizeof(ngx_http_punit_grid_t *));
        if (*grids == NULL) {
            return NULL;
        }
    }

    gridp = (*grids)->elts;

    for (i = 0; i < (*grids)->nelts; i++) {
        if (gridp[i]->uscf == uscf) {
            return gridp[i];
        }
    }

    gridp = ngx_array_push(*grids);
    if (gridp == NULL) {
        return NULL;
    }

    *gridp = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_grid_t));
    if (*gridp == NULL) {
        (*grids)->nelts--;
        return NULL;
    }

    (*gridp)->uscf = uscf;

    return *gridp;
}


ngx_int_t
ngx_http_punit_grid_init(ngx_conf_t *cf, ngx_array_t *grids)
{
    ngx_uint_t               i, n;
    ngx_http_punit_grid_t  **gridp;

    if (grids == NULL) {
        return NGX_OK;
    }

    gridp = grids->elts;

    n = 0;

    for (i = 0; i < grids->nelts; i++) {
        if (ngx_http_punit_grid_servers(cf, gridp[i]) != NGX_OK
            || ngx_http_punit_grid_continuum(cf, gridp[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }

        n += gridp[i]->nservers;
    }

    if (n > NGX_HTTP_PUNIT_GRID_SERVERS_MAX) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%ui servers of grids, expected at most %d",
                      n, NGX_HTTP_PUNIT_GRID_SERVERS_MAX);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_servers(ngx_conf_t *cf, ngx_http_punit_grid_t *grid)
{
    ngx_uint_t                   i;
    ngx_http_upstream_server_t  *us;

    if (grid->uscf->servers == NULL) {
        return ngx_http_punit_grid_resolve(cf, grid);
    }

    grid->nservers = grid->uscf->servers->nelts;
    grid->servers = ngx_pcalloc(cf->pool, grid->nservers
                                    * sizeof(ngx_http_punit_grid_server_t));
    if (grid->servers == NULL) {
        return NGX_ERROR;
    }

    us = grid->uscf->servers->elts;

    for (i = 0; i < grid->nservers; i++) {
        if (ngx_http_punit_grid_server(cf, grid, &grid->servers[i], &us[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_punit_grid_server_init(&grid->servers[i]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_server(ngx_conf_t *cf, ngx_http_punit_grid_t *grid,
    ngx_http_punit_grid_server_t *server, ngx_http_upstream_server_t *us)
{
    u_char     *colon;
    size_t      len;
    ngx_int_t   port;
    ngx_str_t   name;

    /*
     * The workers that fill the grid know neither, and would use other
     * servers.
     */

    if (us->down || us->backup) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" of upstream \"%V\", which is a grid, is "
                      "\"%s\", expected only \"weight\"",
                      &us->name, &grid->uscf->host,
                      us->down ? "down" : "backup");
        return NGX_ERROR;
    }

    name = us->name.len ? us->name : us->addrs[0].name;

    server->name = name;
    server->weight = us->weight ? us->weight : 1;
    server->addrs = us->addrs;
    server->naddrs = us->naddrs;

    if (name.len > 5 && ngx_strncasecmp(name.data, (u_char *) "unix:", 5) == 0)
    {
        server->host.data = name.data + 5;
        server->host.len = name.len - 5;
        return NGX_OK;
    }

    colon = name.data + name.len;

    while (colon > name.data && *colon != ':') {
        colon--;
    }

    len = colon - name.data;
    port = NGX_ERROR;

    if (len && name.data[len - 1] != ':') {
        port = ngx_atoi(colon + 1, name.len - len - 1);
    }

    if (port < 1 || port > 65535) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" of upstream \"%V\", which is a grid, has "
                      "no port, expected \"HOST:PORT\" or \"unix:PATH\"",
                      &name, &grid->uscf->host);
        return NGX_ERROR;
    }

    server->host.data = name.data;
    server->host.len = len;
    server->port = port;

    if (len > 2 && name.data[0] == '[' && name.data[len - 1] == ']') {
        server->host.data++;
        server->host.len -= 2;
    }

    return NGX_OK;
}


/* A single server whose name is no upstream. */

static ngx_int_t
ngx_http_punit_grid_resolve(ngx_conf_t *cf, ngx_http_punit_grid_t *grid)
{
    u_char                        *p;
    ngx_url_t                      u;
    ngx_http_punit_grid_server_t  *server;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.host = grid->uscf->host;
    u.port = grid->uscf->port;

    if (u.port == 0 || ngx_inet_resolve_host(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "grid \"%V\" in %s:%ui: %s, expected an upstream's "
                      "name, \"HOST:PORT\" or \"unix:PATH\"",
                      &u.host, grid->uscf->file_name, grid->uscf->line,
                      u.err ? u.err : "no port");
        return NGX_ERROR;
    }

    server = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_grid_server_t));
    if (server == NULL) {
        return NGX_ERROR;
    }

    server->name.data = ngx_pnalloc(cf->pool, u.host.len + sizeof(":65535"));
    if (server->name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(server->name.data, "%V:%d", &u.host, (int) u.port);
    server->name.len = p - server->name.data;

    server->host = u.host;
    server->port = u.port;
    server->weight = 1;
    server->addrs = u.addrs;
    server->naddrs = u.naddrs;

    ngx_http_punit_grid_server_init(server);

    grid->servers = server;
    grid->nservers = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_continuum(ngx_conf_t *cf, ngx_http_punit_grid_t *grid)
{
    ngx_uint_t                       i;
    ngx_http_punit_ketama_server_t  *servers;

    if (grid->nservers == 1) {
        return NGX_OK;
    }

    grid->points = ngx_palloc(cf->pool,
                              ngx_http_punit_ketama_room(grid->nservers)
                              * sizeof(ngx_http_punit_ketama_point_t));
    servers = ngx_palloc(cf->temp_pool, grid->nservers
                                     * sizeof(ngx_http_punit_ketama_server_t));

    if (grid->points == NULL || servers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < grid->nservers; i++) {
        servers[i].host = grid->servers[i].host;
        servers[i].port = grid->servers[i].port;
        servers[i].weight = grid->servers[i].weight;
    }

    grid->npoints = ngx_http_punit_ketama_build(grid->points, servers,
                                                grid->nservers);

    return NGX_OK;
}


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
