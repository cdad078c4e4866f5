
/* The servers of the grids, for punit_status. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_status.h>
#include <ngx_http_punit_syntax.h>


/* Text: bytes that a server has in each of its lines, beside its names. */

#define NGX_HTTP_PUNIT_GRID_LINE   (128 + NGX_HTTP_PUNIT_UNIT_MAX)
#define NGX_HTTP_PUNIT_GRID_LINES  4


/* NULL without memory. */

json_t *
ngx_http_punit_status_grid_json(ngx_http_punit_main_conf_t *pmcf)
{
    int                          bad;
    json_t                      *grids;
    ngx_uint_t                   i;
    ngx_http_punit_grid_view_t   view;
    ngx_http_punit_grid_node_t  *node;

    bad = 0;
    grids = json_array();

    for (i = 0;
         ngx_http_punit_grid_view(pmcf->grids, i, &view) == NGX_OK;
         i++)
    {
        node = *view.node;

        bad |= json_array_append_new(grids,
                   json_pack("{s:s%, s:s%, s:s, s:I, s:I, s:I, s:I}",
                             "grid", (char *) view.grid.data, view.grid.len,
                             "server", (char *) view.name.data, view.name.len,
                             "state", node->down ? "down" : "up",
                             "since", (json_int_t) node->since,
                             "asked", (json_int_t) node->asked,
                             "hits", (json_int_t) node->hits,
                             "failed", (json_int_t) node->failed));
    }

    if (bad) {
        json_decref(grids);
        return NULL;
    }

    return grids;
}


/* The size of the text at most. */

size_t
ngx_http_punit_status_grid_room(ngx_http_punit_main_conf_t *pmcf)
{
    size_t                      room;
    ngx_uint_t                  i;
    ngx_http_punit_grid_view_t  view;

    room = 512;

    for (i = 0;
         ngx_http_punit_grid_view(pmcf->grids, i, &view) == NGX_OK;
         i++)
    {
        room += NGX_HTTP_PUNIT_GRID_LINES
                * (NGX_HTTP_PUNIT_GRID_LINE + view.grid.len + view.name.len);
    }

    return room;
}


u_char *
ngx_http_punit_status_grid_text(ngx_http_punit_main_conf_t *pmcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                   i;
    ngx_http_punit_grid_view_t   view;
    ngx_http_punit_grid_node_t  *node;

    if (pmcf->grids == NULL) {
        return p;
    }

    p = ngx_slprintf(p, last,
                     "# HELP punit_grid_server_up 0: what was seen of it last "
                     "is a failure\n"
                     "# TYPE punit_grid_server_up gauge\n");

    for (i = 0;
         ngx_http_punit_grid_view(pmcf->grids, i, &view) == NGX_OK;
         i++)
    {
        p = ngx_slprintf(p, last,
                         "punit_grid_server_up{unit=\"%V\",grid=\"%V\","
                         "server=\"%V\"} %d\n",
                         &pmcf->unit, &view.grid, &view.name,
                         !(*view.node)->down);
    }

    p = ngx_slprintf(p, last,
                     "# HELP punit_grid_server_total keys it was asked for "
                     "and had, and failures\n"
                     "# TYPE punit_grid_server_total counter\n");

    for (i = 0;
         ngx_http_punit_grid_view(pmcf->grids, i, &view) == NGX_OK;
         i++)
    {
        node = *view.node;

        p = ngx_slprintf(p, last,
                         "punit_grid_server_total{unit=\"%V\",grid=\"%V\","
                         "server=\"%V\",what=\"asked\"} %uA\n"
                         "punit_grid_server_total{unit=\"%V\",grid=\"%V\","
                         "server=\"%V\",what=\"hits\"} %uA\n"
                         "punit_grid_server_total{unit=\"%V\",grid=\"%V\","
                         "server=\"%V\",what=\"failed\"} %uA\n",
                         &pmcf->unit, &view.grid, &view.name, node->asked,
                         &pmcf->unit, &view.grid, &view.name, node->hits,
                         &pmcf->unit, &view.grid, &view.name, node->failed);
    }

    return p;
}
