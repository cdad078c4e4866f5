
/*
 * Generations of services, kept in the zone for a few milliseconds.
 * flags: client flags of documents of that generation.  service has at most
 * NGX_HTTP_PUNIT_UNIT_MAX bytes.
 */


#ifndef _NGX_HTTP_PUNIT_GENERATION_H_INCLUDED_
#define _NGX_HTTP_PUNIT_GENERATION_H_INCLUDED_


#include <ngx_http_punit.h>


/* NULL if the zone is full. */

ngx_http_punit_generation_t *ngx_http_punit_generation_init(
    ngx_slab_pool_t *shpool);


/* NGX_OK, or NGX_DECLINED: ask the grid for it. */

ngx_int_t ngx_http_punit_generation_get(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t *flags);


/* asked: when memcached was asked for it (ngx_current_msec). */

void ngx_http_punit_generation_keep(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t flags, ngx_msec_t asked);


/* A worker of the service has answered: what is kept may be old. */

void ngx_http_punit_generation_drop(ngx_http_punit_zone_t *zone,
    ngx_str_t *service);


/*
 * 1: no client can have had an answer that is newer than documents of these
 * flags, which were of the previous generation.
 */

ngx_uint_t ngx_http_punit_generation_unseen(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t flags);


#endif /* _NGX_HTTP_PUNIT_GENERATION_H_INCLUDED_ */
