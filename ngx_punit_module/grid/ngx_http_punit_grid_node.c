
/*
 * The node of each memcached server: its place in the shared zone, with its
 * counters.  The names of the grid and of the server identify it.  So a server
 * keeps its node, and its counters, when NGINX reads its configuration again.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid.h>

#include <openssl/sha.h>


static void ngx_http_punit_grid_node_id(ngx_http_punit_grid_view_t *view,
    u_char *id);
static ngx_http_punit_grid_node_t *ngx_http_punit_grid_node_find(
    ngx_http_punit_grid_node_t *nodes, u_char *id);
static ngx_http_punit_grid_node_t *ngx_http_punit_grid_node_oldest(
    ngx_http_punit_grid_node_t *nodes);


void
ngx_http_punit_grid_node_assign(ngx_array_t *grids,
    ngx_http_punit_grid_node_t *nodes)
{
    ngx_uint_t                   i, named;
    ngx_http_punit_grid_view_t   view;
    ngx_http_punit_grid_node_t  *node;
    u_char                       id[NGX_HTTP_PUNIT_GRID_ID];

    named = 0;

    for (i = 0; i < NGX_HTTP_PUNIT_GRID_SERVERS_MAX; i++) {
        named = ngx_max(named, nodes[i].named);
    }

    named++;

    /*
     * Known servers come first, so that a new one does not take their node.
     */

    for (i = 0; ngx_http_punit_grid_view(grids, i, &view) == NGX_OK; i++) {

        ngx_http_punit_grid_node_id(&view, id);

        node = ngx_http_punit_grid_node_find(nodes, id);

        if (node) {
            node->named = named;
        }
    }

    for (i = 0; ngx_http_punit_grid_view(grids, i, &view) == NGX_OK; i++) {

        ngx_http_punit_grid_node_id(&view, id);

        node = ngx_http_punit_grid_node_find(nodes, id);

        if (node == NULL) {
            node = ngx_http_punit_grid_node_oldest(nodes);

            ngx_memzero(node, sizeof(ngx_http_punit_grid_node_t));
            ngx_memcpy(node->id, id, NGX_HTTP_PUNIT_GRID_ID);

            node->named = named;
            node->since = ngx_time();
        }

        *view.node = node;
    }
}


static void
ngx_http_punit_grid_node_id(ngx_http_punit_grid_view_t *view, u_char *id)
{
    SHA256_CTX  sha;

    SHA256_Init(&sha);
    SHA256_Update(&sha, view->grid.data, view->grid.len);
    SHA256_Update(&sha, "", 1);
    SHA256_Update(&sha, view->name.data, view->name.len);
    SHA256_Final(id, &sha);
}


static ngx_http_punit_grid_node_t *
ngx_http_punit_grid_node_find(ngx_http_punit_grid_node_t *nodes, u_char *id)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_PUNIT_GRID_SERVERS_MAX; i++) {
        if (nodes[i].named
            && ngx_memcmp(nodes[i].id, id, NGX_HTTP_PUNIT_GRID_ID) == 0)
        {
            return &nodes[i];
        }
    }

    return NULL;
}


/* The oldest node, which is an empty one if there is any. */

static ngx_http_punit_grid_node_t *
ngx_http_punit_grid_node_oldest(ngx_http_punit_grid_node_t *nodes)
{
    ngx_uint_t                   i;
    ngx_http_punit_grid_node_t  *oldest;

    oldest = nodes;

    for (i = 1; i < NGX_HTTP_PUNIT_GRID_SERVERS_MAX; i++) {
        if (nodes[i].named < oldest->named) {
            oldest = &nodes[i];
        }
    }

    return oldest;
}
