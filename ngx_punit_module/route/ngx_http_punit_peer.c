
/*
 * Units: this one and its peers.  A peer's id is also the name of the upstream
 * block that requests for it are sent to.
 */


#include "ngx_http_punit_module.h"


static ngx_int_t ngx_http_punit_peer_check(ngx_conf_t *cf,
    ngx_http_punit_peer_t *peer);


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


/* the configuration's own text of a unit's id, NULL if there is none such;
   two units are the same if these are the same text */

ngx_str_t *
ngx_http_punit_unit(ngx_http_punit_main_conf_t *pmcf, ngx_str_t *id)
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

        if (ngx_http_punit_unit(pmcf, &peer[i].id) == &pmcf->unit) {
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
 * A backup server would take over by itself after one timeout, but whether a
 * standby is promoted is somebody's decision: two owners otherwise.
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
