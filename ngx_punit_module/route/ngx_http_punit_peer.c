
/* Units: this one and its peers. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_peer.h>


static ngx_int_t ngx_http_punit_peer_check(ngx_conf_t *cf,
    ngx_http_punit_peer_t *peer);
static void ngx_http_punit_peer_inherit(ngx_http_punit_main_conf_t *pmcf);


ngx_http_punit_peer_t *
ngx_http_punit_peer(ngx_http_punit_main_conf_t *pmcf, ngx_str_t *id)
{
    ngx_uint_t              i;
    ngx_http_punit_peer_t  *peer;

    peer = pmcf->peers.elts;

    for (i = 0; i < pmcf->peers.nelts; i++) {
        if (peer[i].id.len == id->len
            && ngx_memcmp(peer[i].id.data, id->data, id->len) == 0)
        {
            return &peer[i];
        }
    }

    return NULL;
}


/* Callers compare these texts by address. */

ngx_str_t *
ngx_http_punit_peer_unit(ngx_http_punit_main_conf_t *pmcf, ngx_str_t *id)
{
    ngx_http_punit_peer_t  *peer;

    if (pmcf->unit.len == id->len
        && ngx_memcmp(pmcf->unit.data, id->data, id->len) == 0)
    {
        return &pmcf->unit;
    }

    peer = ngx_http_punit_peer(pmcf, id);

    return peer ? &peer->id : NULL;
}


ngx_int_t
ngx_http_punit_peer_init(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);
    peer = pmcf->peers.elts;

    for (i = 0; i < pmcf->peers.nelts; i++) {

        if (ngx_http_punit_peer_unit(pmcf, &peer[i].id) == &pmcf->unit) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "punit_peer \"%V\" is this unit itself, expected "
                          "the id of another one in %s:%ui",
                          &peer[i].id, peer[i].file, peer[i].line);
            return NGX_ERROR;
        }

        if (ngx_http_punit_peer_check(cf, &peer[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * nginx would use a backup server after one timeout.  But promoting a standby
 * is a decision of the operator: otherwise there would be two owners.
 */

static ngx_int_t
ngx_http_punit_peer_check(ngx_conf_t *cf, ngx_http_punit_peer_t *peer)
{
    ngx_uint_t                       i, n;
    ngx_http_upstream_server_t      *server;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (!(uscfp[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            || uscfp[i]->servers == NULL
            || uscfp[i]->host.len != peer->id.len
            || ngx_strncasecmp(uscfp[i]->host.data, peer->id.data,
                               peer->id.len)
               != 0)
        {
            continue;
        }

        server = uscfp[i]->servers->elts;

        for (n = 0; n < uscfp[i]->servers->nelts; n++) {
            if (server[n].backup) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "upstream \"%V\" of a punit_peer has a backup "
                              "server \"%V\", expected none: a promotion is "
                              "a decision in %s:%ui",
                              &peer->id, &server[n].name,
                              uscfp[i]->file_name, uscfp[i]->line);
                return NGX_ERROR;
            }
        }

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "punit_peer \"%V\" has no upstream, expected a block "
                  "\"upstream %V {...}\" in %s:%ui",
                  &peer->id, &peer->id, peer->file, peer->line);

    return NGX_ERROR;
}


/*
 * A place never moves: the old workers write to it until they end.  The state
 * in the configuration counts when it is new.  Otherwise the mark that was set
 * at run time stays.
 */

ngx_int_t
ngx_http_punit_peer_place(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_node_t *nodes, ngx_uint_t *n, ngx_log_t *log)
{
    ngx_uint_t                   i, k, fresh;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_peer_node_t  *node;

    peer = pmcf->peers.elts;
    fresh = (*n == 0);

    for (i = 0; i < pmcf->peers.nelts; i++) {

        for (k = 0; k < *n; k++) {
            node = &nodes[k];

            if (node->len == peer[i].id.len
                && ngx_memcmp(node->id, peer[i].id.data, node->len) == 0)
            {
                goto found;
            }
        }

        if (*n == NGX_HTTP_PUNIT_PEERS_MAX) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "no place for punit_peer \"%V\" in the zone: %d "
                          "peers have been there since it was made",
                          &peer[i].id, NGX_HTTP_PUNIT_PEERS_MAX);
            return NGX_ERROR;
        }

        node = &nodes[*n];
        node->len = peer[i].id.len;
        ngx_memcpy(node->id, peer[i].id.data, node->len);
        node->since = ngx_time();

        (*n)++;

    found:

        if (peer[i].state != NGX_HTTP_PUNIT_PEER_UNSET
            && peer[i].state != node->configured)
        {
            node->down = (peer[i].state == NGX_HTTP_PUNIT_PEER_DOWN);
            node->since = ngx_time();
        }

        node->configured = peer[i].state;
        peer[i].node = node;
    }

    if (fresh) {
        ngx_http_punit_peer_inherit(pmcf);
    }

    return NGX_OK;
}


/* A zone of another size is new: take over the marks of the old one. */

static void
ngx_http_punit_peer_inherit(ngx_http_punit_main_conf_t *pmcf)
{
    ngx_uint_t                   i;
    ngx_http_punit_peer_t       *peer, *old;
    ngx_http_punit_main_conf_t  *opmcf;

    /* The new cycle is not in place yet: ngx_cycle is the previous one. */

    if (ngx_cycle == NULL || ngx_cycle->conf_ctx == NULL) {
        return;
    }

    opmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                ngx_http_punit_module);
    if (opmcf == NULL || opmcf == pmcf) {
        return;
    }

    peer = pmcf->peers.elts;

    for (i = 0; i < pmcf->peers.nelts; i++) {
        old = ngx_http_punit_peer(opmcf, &peer[i].id);

        if (old && old->node && old->node != peer[i].node
            && old->state == peer[i].state)
        {
            peer[i].node->down = old->node->down;
            peer[i].node->since = old->node->since;
        }
    }
}
