
/*
 * The generations of services, kept for NGX_HTTP_PUNIT_GENERATION_AGE after
 * they were asked for, so that most of the grid's hits ask for a document only.
 * Shared by all workers: a client that has seen a change by one of them does
 * not meet the time before it in another.  Whoever has an answer of a service
 * drops what is kept of it, as a worker raises the generation before it
 * answers; what was asked for until then is not kept any more.
 */


#include "ngx_http_punit_module.h"


#define NGX_HTTP_PUNIT_GENERATIONS     64      /* a place each, by hash */
#define NGX_HTTP_PUNIT_GENERATION_AGE  10      /* ms */


struct ngx_http_punit_generation_s {
    uint32_t                        flags;
    ngx_msec_t                      asked;
    ngx_msec_t                      dropped;
    size_t                          len;       /* 0: nothing is kept */
    u_char                          service[NGX_HTTP_PUNIT_ID_MAX];
};


static ngx_http_punit_generation_t *ngx_http_punit_generation(
    ngx_http_punit_zone_t *zone, ngx_str_t *service);


ngx_http_punit_generation_t *
ngx_http_punit_generations_init(ngx_slab_pool_t *shpool)
{
    ngx_uint_t                    i;
    ngx_http_punit_generation_t  *generations;

    generations = ngx_slab_calloc(shpool, NGX_HTTP_PUNIT_GENERATIONS
                                       * sizeof(ngx_http_punit_generation_t));
    if (generations == NULL) {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_PUNIT_GENERATIONS; i++) {
        generations[i].dropped = ngx_current_msec;
    }

    return generations;
}


ngx_int_t
ngx_http_punit_generation_get(ngx_http_punit_zone_t *zone, ngx_str_t *service,
    uint32_t *flags)
{
    ngx_int_t                     rc;
    ngx_http_punit_generation_t  *generation;

    rc = NGX_DECLINED;

    generation = ngx_http_punit_generation(zone, service);

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (generation->len == service->len
        && ngx_memcmp(generation->service, service->data, service->len) == 0
        && ngx_current_msec - generation->asked < NGX_HTTP_PUNIT_GENERATION_AGE)
    {
        *flags = generation->flags;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_punit_generation_keep(ngx_http_punit_zone_t *zone, ngx_str_t *service,
    uint32_t flags, ngx_msec_t asked)
{
    ngx_http_punit_generation_t  *generation;

    generation = ngx_http_punit_generation(zone, service);

    ngx_shmtx_lock(&zone->shpool->mutex);

    if ((ngx_msec_int_t) (asked - generation->dropped) > 0
        && (generation->len == 0
            || (ngx_msec_int_t) (asked - generation->asked) >= 0))
    {
        generation->flags = flags;
        generation->asked = asked;
        generation->len = service->len;
        ngx_memcpy(generation->service, service->data, service->len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_punit_generation_drop(ngx_http_punit_zone_t *zone,
    ngx_str_t *service)
{
    ngx_http_punit_generation_t  *generation;

    generation = ngx_http_punit_generation(zone, service);

    /* the time of this turn of the event loop may be that before the answer */

    ngx_time_update();

    ngx_shmtx_lock(&zone->shpool->mutex);

    generation->dropped = ngx_current_msec;
    generation->len = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_http_punit_generation_t *
ngx_http_punit_generation(ngx_http_punit_zone_t *zone, ngx_str_t *service)
{
    return &zone->sh->generations[ngx_murmur_hash2(service->data, service->len)
                                  % NGX_HTTP_PUNIT_GENERATIONS];
}
