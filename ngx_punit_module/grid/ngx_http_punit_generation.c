
/*
 * The generations of services, kept for NGX_HTTP_PUNIT_GENERATION_AGE.  With
 * them most hits of the grid ask for a document only.  All workers share them:
 * a client that has seen a change never sees the state before it.
 *
 * A worker raises the generation before it answers.  So an answer of a service
 * drops what is kept of it, and a generation that was asked for before is not
 * kept.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_generation.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


#define NGX_HTTP_PUNIT_GENERATIONS     64      /* a place each, by hash */
#define NGX_HTTP_PUNIT_GENERATION_AGE  10      /* ms */


struct ngx_http_punit_generation_s {
    uint32_t                        flags;
    ngx_msec_t                      asked;
    ngx_msec_t                      dropped;
    uint32_t                        previous;  /* flags before that; 0: none */
    ngx_msec_t                      confirmed; /* when flags were, last */
    unsigned                        kept:1;    /* it may be used */
    size_t                          len;
    u_char                          service[NGX_HTTP_PUNIT_UNIT_MAX];
};


static ngx_http_punit_generation_t *ngx_http_punit_generation(
    ngx_http_punit_zone_t *zone, ngx_str_t *service);
static ngx_uint_t ngx_http_punit_generation_is(
    ngx_http_punit_generation_t *generation, ngx_str_t *service);


ngx_http_punit_generation_t *
ngx_http_punit_generation_init(ngx_slab_pool_t *shpool)
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
        && ngx_current_msec - generation->asked
           < NGX_HTTP_PUNIT_GENERATION_AGE)
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

    /*
     * The clock of this turn of the event loop may be older than the answer.
     */

    ngx_time_update();

    ngx_shmtx_lock(&zone->shpool->mutex);

    generation->dropped = ngx_current_msec;
    generation->kept = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * A worker raises the generation before it answers.  If the grid was asked
 * after the last answer and still had the previous generation, that answer was
 * not of a newer one.
 */

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
