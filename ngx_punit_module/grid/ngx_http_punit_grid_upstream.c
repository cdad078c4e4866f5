
/*
 * From a directive to a grid: the servers of its upstream, and their points on
 * the continuum.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_grid_server.h>
#include <ngx_http_punit_ketama.h>


static ngx_int_t ngx_http_punit_grid_upstream_servers(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);
static ngx_int_t ngx_http_punit_grid_upstream_server(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid, ngx_http_punit_grid_server_t *server,
    ngx_http_upstream_server_t *us);
static ngx_int_t ngx_http_punit_grid_upstream_resolve(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);
static ngx_int_t ngx_http_punit_grid_upstream_continuum(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid);


ngx_http_punit_grid_t *
ngx_http_punit_grid_upstream_add(ngx_conf_t *cf, ngx_array_t **grids,
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
ngx_http_punit_grid_upstream_init(ngx_conf_t *cf, ngx_array_t *grids)
{
    ngx_uint_t               i, n;
    ngx_http_punit_grid_t  **gridp;

    if (grids == NULL) {
        return NGX_OK;
    }

    gridp = grids->elts;

    n = 0;

    for (i = 0; i < grids->nelts; i++) {
        if (ngx_http_punit_grid_upstream_servers(cf, gridp[i]) != NGX_OK
            || ngx_http_punit_grid_upstream_continuum(cf, gridp[i]) != NGX_OK)
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
ngx_http_punit_grid_upstream_servers(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid)
{
    ngx_uint_t                   i;
    ngx_http_upstream_server_t  *us;

    if (grid->uscf->servers == NULL) {
        return ngx_http_punit_grid_upstream_resolve(cf, grid);
    }

    grid->nservers = grid->uscf->servers->nelts;
    grid->servers = ngx_pcalloc(cf->pool, grid->nservers
                                    * sizeof(ngx_http_punit_grid_server_t));
    if (grid->servers == NULL) {
        return NGX_ERROR;
    }

    us = grid->uscf->servers->elts;

    for (i = 0; i < grid->nservers; i++) {
        if (ngx_http_punit_grid_upstream_server(cf, grid, &grid->servers[i],
                                                &us[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_punit_grid_server_init(&grid->servers[i]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_grid_upstream_server(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid, ngx_http_punit_grid_server_t *server,
    ngx_http_upstream_server_t *us)
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
ngx_http_punit_grid_upstream_resolve(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid)
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
ngx_http_punit_grid_upstream_continuum(ngx_conf_t *cf,
    ngx_http_punit_grid_t *grid)
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
