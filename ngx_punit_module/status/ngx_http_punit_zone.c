
/*
 * Makes and reuses the zone.  Half of it is for verdicts and an eighth for
 * reissued tokens.  A quarter is for owners, allocated at once so that nothing
 * can evict them.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_generation.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_peer_state.h>
#include <ngx_http_punit_refill.h>
#include <ngx_http_punit_reissue.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_verdict_cache.h>
#include <ngx_http_punit_zone.h>


static ngx_int_t ngx_http_punit_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_http_punit_zone_t *zone);


/*
 * nginx passes the data of the old configuration if the zone is the same, and
 * NULL if it is new or has another size.
 */

ngx_int_t
ngx_http_punit_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_punit_zone_t  *old = data;

    ngx_uint_t                   fresh;
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

    ngx_http_punit_grid_node_assign(pmcf->grids, zone->sh->servers);

    fresh = (zone->sh->npeers == 0);

    if (ngx_http_punit_peer_place(pmcf, zone->sh->peers, &zone->sh->npeers,
                                  shm_zone->shm.log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (fresh) {
        return ngx_http_punit_peer_state_load(pmcf, shm_zone->shm.log);
    }

    return NGX_OK;
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

    /* A full zone is normal: the caches evict their oldest entries. */
    shpool->log_nomem = 0;

    sh->refills = ngx_http_punit_refill_init(shpool);
    if (sh->refills == NULL) {
        goto failed;
    }

    sh->generations = ngx_http_punit_generation_init(shpool);
    if (sh->generations == NULL) {
        goto failed;
    }

    sh->owners = ngx_http_punit_owner_init(shpool, size / 4);
    if (sh->owners == NULL) {
        goto failed;
    }

    sh->reissues = ngx_http_punit_reissue_init(shpool, size / 8);
    if (sh->reissues == NULL) {
        goto failed;
    }

    sh->verdict_cache = ngx_http_punit_verdict_cache_init(shpool, size / 2);
    if (sh->verdict_cache == NULL) {
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
