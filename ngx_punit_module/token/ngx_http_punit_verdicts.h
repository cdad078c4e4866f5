
/*
 * Verdicts kept in shared memory, keyed by SHA-256 over policy, key set and
 * token: least recently used ones go first, none outlives the token's exp.
 * Only good tokens are kept, so that nobody without a key can push them out.
 * All but evict_locked take the mutex of shpool themselves, briefly.
 */


#ifndef _NGX_HTTP_PUNIT_VERDICTS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VERDICTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jwt.h>


typedef struct ngx_http_punit_slot_s  ngx_http_punit_slot_t;

typedef struct {
    ngx_http_punit_slot_t         **buckets;
    ngx_uint_t                      mask;
    ngx_queue_t                     queue;     /* head: used last */
    size_t                          size;      /* bytes in use */
    size_t                          limit;
    ngx_uint_t                      count;     /* verdicts kept */
    uint64_t                        hits;
    uint64_t                        misses;
    uint64_t                        evicted;
} ngx_http_punit_verdicts_t;


/*
 * Makes an empty cache in the zone; limit: bytes of the zone that verdicts
 * may take (the rest is for others).  NULL if the zone is full.
 */

ngx_http_punit_verdicts_t *ngx_http_punit_verdicts_init(
    ngx_slab_pool_t *shpool, size_t limit);


/*
 * find: NGX_OK: claims are filled from pool; NGX_DECLINED: not there, or not
 * good now; NGX_ERROR: no memory.  now, leeway: seconds.  keep: claims, with
 * their digest, of a good token; a full cache forgets others or does not keep.
 */

ngx_int_t ngx_http_punit_verdicts_find(ngx_pool_t *pool,
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, u_char *digest, time_t now,
    time_t leeway);
void ngx_http_punit_verdicts_keep(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, time_t now);


/*
 * When was it last asked whether the token is revoked: claims->checked_at
 * (valid if claims->checked), in milliseconds of ngx_current_msec, which the
 * workers of a machine share.  set: stores it for all; without effect when the
 * verdict is gone.  forget: drops the verdict (it was revoked).
 */

void ngx_http_punit_verdicts_set_checked(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, ngx_msec_t now);
void ngx_http_punit_verdicts_forget(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims);


/* frees up to n of the least recently used verdicts, shpool's mutex held: for
   whoever shares the zone and found it full; gives how many were freed */

ngx_uint_t ngx_http_punit_verdicts_evict_locked(
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool, ngx_uint_t n);


#endif /* _NGX_HTTP_PUNIT_VERDICTS_H_INCLUDED_ */
