
/*
 * Verdicts in shared memory.  The key is SHA-256 over policy, key set and
 * token.  The least recently used verdicts go first, and none outlives the exp
 * of the token.  Refused tokens have a table of their own, of a fixed size and
 * without claims, so an attacker without a key cannot evict good ones.  All
 * functions but evict_locked take the mutex of shpool,
 * briefly.
 */


#ifndef _NGX_HTTP_PUNIT_VERDICT_CACHE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VERDICT_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_claims.h>


#define NGX_HTTP_PUNIT_REFUSED_SLOTS     256
#define NGX_HTTP_PUNIT_REFUSED_KEEP      5     /* seconds */
#define NGX_HTTP_PUNIT_REFUSED_REASON    15    /* bytes of the longest */


typedef struct ngx_http_punit_slot_s  ngx_http_punit_slot_t;

typedef struct {
    u_char                           digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    time_t                           since;     /* 0: empty */
    char                             reason[NGX_HTTP_PUNIT_REFUSED_REASON + 1];
} ngx_http_punit_refused_t;

typedef struct {
    ngx_http_punit_slot_t  **buckets;
    ngx_uint_t                       mask;
    ngx_queue_t                      queue;     /* head: used last */
    size_t                           size;      /* bytes in use */
    size_t                           limit;
    ngx_uint_t                       count;     /* verdicts kept */
    uint64_t                         hits;
    uint64_t                         misses;
    uint64_t                         evicted;
    uint64_t                         refused_hits;
    ngx_http_punit_refused_t         refused[NGX_HTTP_PUNIT_REFUSED_SLOTS];
} ngx_http_punit_verdict_cache_t;


/*
 * Makes an empty cache in the zone.  limit: bytes of the zone that verdicts
 * may take.  NULL if the zone is full.
 */

ngx_http_punit_verdict_cache_t *ngx_http_punit_verdict_cache_init(
    ngx_slab_pool_t *shpool, size_t limit);


/*
 * find: NGX_OK: claims are filled from pool; NGX_DECLINED: not there, or not
 * good now; NGX_ERROR: no memory.  now, leeway: seconds.  keep: claims of a
 * good token, with their digest.  A full cache evicts others or does not keep
 * it.
 */

ngx_int_t ngx_http_punit_verdict_cache_find(ngx_pool_t *pool,
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, u_char *digest, time_t now,
    time_t leeway);
void ngx_http_punit_verdict_cache_keep(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, time_t now);


/*
 * Tokens that were refused a moment ago, after a signature check.  The reason
 * is a text of pool.  NGX_OK; NGX_DECLINED: none is known; NGX_ERROR: no
 * memory.  A call of keep_refused takes the slot of whatever was there.
 */

ngx_int_t ngx_http_punit_verdict_cache_find_refused(ngx_pool_t *pool,
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    const u_char *digest, time_t now, const char **reason);
void ngx_http_punit_verdict_cache_keep_refused(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    const u_char *digest, time_t now, const char *reason);


/*
 * claims->checked_at says when the revocation was last checked.  It is valid
 * if claims->checked is set.  It is in milliseconds of ngx_current_msec, which
 * the workers of a machine share.  A call of set_checked stores it for all
 * workers, without effect if the verdict is gone.  A call of forget drops the
 * verdict of a revoked token.
 */

void ngx_http_punit_verdict_cache_set_checked(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, ngx_msec_t now);
void ngx_http_punit_verdict_cache_forget(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims);


/*
 * Frees up to n of the least recently used verdicts; the mutex of shpool is
 * held.  For other users of a full zone.  Gives how many were freed.
 */

ngx_uint_t ngx_http_punit_verdict_cache_evict_locked(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_uint_t n);


#endif /* _NGX_HTTP_PUNIT_VERDICT_CACHE_H_INCLUDED_ */
