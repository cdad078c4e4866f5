
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
    uint32_t                        previous;  /* flags before that; 0: none */
    ngx_msec_t                      confirmed; /* asked for last, it was they */
    unsigned                        kept:1;    /* it may be used */
    size_t                          len;
    u_char                          service[NGX_HTTP_PUNIT_ID_MAX];
};


static ngx_http_punit_generation_t *ngx_http_punit_generation(
    ngx_http_punit_zone_t *zone, ngx_str_t *service);
static ngx_uint_t ngx_http_punit_generation_is(
    ngx_http_punit_generation_t *generation, ngx_str_t *service);


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

    if (generation->kept
        && ngx_http_punit_generation_is(generation, service)
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

    if (!ngx_http_punit_generation_is(generation, service)) {
        generation->len = service->len;
        ngx_memcpy(generation->service, service->data, service->len);
        generation->flags = flags;
        generation->asked = asked;
        generation->previous = 0;
        generation->kept = 0;
    }

    if ((ngx_msec_int_t) (asked - generation->asked) >= 0) {

        if (generation->flags != flags) {
            generation->previous = generation->flags;
            generation->confirmed = generation->asked;
        }

        generation->flags = flags;
        generation->asked = asked;
        generation->kept = ((ngx_msec_int_t) (asked - generation->dropped)
                            > 0);
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
    generation->kept = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* a worker raises the generation before it answers: an answer that was there
   before the grid was last asked and still had the previous generation is not
   of a newer one */

ngx_uint_t
ngx_http_punit_generation_unseen(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t flags)
{
    ngx_uint_t                    unseen;
    ngx_http_punit_generation_t  *generation;

    generation = ngx_http_punit_generation(zone, service);

    ngx_shmtx_lock(&zone->shpool->mutex);

    unseen = ngx_http_punit_generation_is(generation, service)
             && generation->previous == flags
             && (ngx_msec_int_t) (generation->confirmed - generation->dropped)
                > 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return unseen;
}


static ngx_uint_t
ngx_http_punit_generation_is(ngx_http_punit_generation_t *generation,
    ngx_str_t *service)
{
    return generation->len == service->len
           && ngx_memcmp(generation->service, service->data, service->len)
              == 0;
}


static ngx_http_punit_generation_t *
ngx_http_punit_generation(ngx_http_punit_zone_t *zone, ngx_str_t *service)
{
    return &zone->sh->generations[ngx_murmur_hash2(service->data, service->len)
                                  % NGX_HTTP_PUNIT_GENERATIONS];
}
