
/*
 * Making and reusing the zone.  Sizes: half of it for verdicts, a quarter for
 * owners (made at once, so that nothing can push them out), an eighth for
 * reissued tokens.
 */


#include "ngx_http_punit_module.h"


static ngx_int_t ngx_http_punit_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_http_punit_zone_t *zone);
static ngx_int_t ngx_http_punit_zone_peers(ngx_http_punit_zone_t *zone,
    ngx_log_t *log);
static void ngx_http_punit_zone_inherit(ngx_http_punit_main_conf_t *pmcf);


/* nginx calls this with the data of the old configuration if the zone is the
   same, with NULL if it is new or its size has changed */

ngx_int_t
ngx_http_punit_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_punit_zone_t  *old = data;

    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_main_conf_t  *pmcf;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->sh = old->sh;

    } else if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;

    } else {
        if (ngx_http_punit_zone_create(shm_zone, zone) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    pmcf = zone->pmcf;

    ngx_http_punit_grid_place(pmcf->grids, zone->sh->servers);

    return ngx_http_punit_zone_peers(zone, shm_zone->shm.log);
}


static ngx_int_t
ngx_http_punit_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_http_punit_zone_t *zone)
{
    size_t                 len, size;
    ngx_slab_pool_t       *shpool;
    ngx_http_punit_shm_t  *sh;

    shpool = zone->shpool;
    size = shm_zone->shm.size;

    sh = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_shm_t));
    if (sh == NULL) {
        goto failed;
    }

    shpool->data = sh;
    zone->sh = sh;

    sh->start = ngx_time();

    len = sizeof(" in punit_zone \"\"") + shm_zone->shm.name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        goto failed;
    }

    ngx_sprintf(shpool->log_ctx, " in punit_zone \"%V\"%Z",
                &shm_zone->shm.name);

    /* a full zone is no news: the caches push out their oldest */
    shpool->log_nomem = 0;

    sh->refills = ngx_slab_calloc(shpool, NGX_HTTP_PUNIT_REFILLS
                                          * sizeof(ngx_http_punit_refill_t));
    if (sh->refills == NULL) {
        goto failed;
    }

    sh->generations = ngx_http_punit_generations_init(shpool);
    if (sh->generations == NULL) {
        goto failed;
    }

    sh->owners = ngx_http_punit_owners_init(shpool, size / 4);
    if (sh->owners == NULL) {
        goto failed;
    }

    sh->reissues = ngx_http_punit_reissues_init(shpool, size / 8);
    if (sh->reissues == NULL) {
        goto failed;
    }

    sh->verdicts = ngx_http_punit_verdicts_init(shpool, size / 2);
    if (sh->verdicts == NULL) {
        goto failed;
    }

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                  "punit_zone \"%V\" is too small, expected at least %uzk",
                  &shm_zone->shm.name,
                  (size_t) NGX_HTTP_PUNIT_ZONE_MIN / 1024);
    return NGX_ERROR;
}


/*
 * Gives each configured peer its place.  A place, once there, stays: the old
 * workers write to it until they are gone.  What the configuration says counts
 * when it is new; otherwise what was marked at run time stays.
 */

static ngx_int_t
ngx_http_punit_zone_peers(ngx_http_punit_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t                   i, n, fresh;
    ngx_http_punit_shm_t        *sh;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_peer_node_t  *node;
    ngx_http_punit_main_conf_t  *pmcf;

    sh = zone->sh;
    pmcf = zone->pmcf;
    peer = pmcf->peers.elts;
    fresh = (sh->npeers == 0);

    for (i = 0; i < pmcf->peers.nelts; i++) {

        for (n = 0; n < sh->npeers; n++) {
            node = &sh->peers[n];

            if (node->len == peer[i].id.len
                && ngx_memcmp(node->id, peer[i].id.data, node->len) == 0)
            {
                goto found;
            }
        }

        if (sh->npeers == NGX_HTTP_PUNIT_PEERS_MAX) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "no place for punit_peer \"%V\" in the zone: %d "
                          "peers have been there since it was made",
                          &peer[i].id, NGX_HTTP_PUNIT_PEERS_MAX);
            return NGX_ERROR;
        }

        node = &sh->peers[sh->npeers];
        node->len = peer[i].id.len;
        ngx_memcpy(node->id, peer[i].id.data, node->len);
        node->since = ngx_time();

        sh->npeers++;

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
        ngx_http_punit_zone_inherit(pmcf);

        return ngx_http_punit_state_load(pmcf, log);
    }

    return NGX_OK;
}


/* a zone of another size is new: take over what was marked in the old one */

static void
ngx_http_punit_zone_inherit(ngx_http_punit_main_conf_t *pmcf)
{
    ngx_uint_t                   i;
    ngx_http_punit_peer_t       *peer, *old;
    ngx_http_punit_main_conf_t  *opmcf;

    /* the new cycle is not yet in place, ngx_cycle is the one before */

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
