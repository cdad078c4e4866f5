
/*
 * Is this token good?  Verdicts are kept in shared memory, keyed by SHA-256
 * over policy, key set and token, least recently used ones go first, none
 * outlives the token's exp.  Only good tokens are kept, so that nobody
 * without a key can push them out.
 */


#ifndef _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jwt.h>
#include <ngx_http_punit_key.h>


/* a token whose kid is unknown or absent is tried with that many keys */

#define NGX_HTTP_PUNIT_VERDICT_TRIES  8


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


/* the token that a connection was last used with, so that it need not be
   hashed again; for one policy and key set at a time, zero at first */

typedef struct {
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    u_char                          policy[NGX_HTTP_PUNIT_DIGEST_LEN];
    u_char                          keys[NGX_HTTP_PUNIT_DIGEST_LEN];
    ngx_str_t                       token;
    size_t                          room;
    ngx_pool_t                     *pool;      /* for token */
} ngx_http_punit_memo_t;


/*
 * Makes an empty cache in the zone; limit: bytes of the zone that verdicts
 * may take (the rest is for others).  NULL if the zone is full.
 */

ngx_http_punit_verdicts_t *ngx_http_punit_verdicts_init(
    ngx_slab_pool_t *shpool, size_t limit);


/*
 * NGX_OK: the token is good, claims are filled from pool.  NGX_DECLINED: it is
 * not, *reason is one of: malformed, header, type, algorithm, key, signature,
 * claims, expired, not-yet-valid, issuer, audience, unit.  NGX_ERROR: without
 * memory.  cache and memo may be NULL.  Takes the mutex of shpool itself,
 * briefly.
 */

ngx_int_t ngx_http_punit_verdict(ngx_pool_t *pool,
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_memo_t *memo, ngx_http_punit_keys_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token,
    ngx_http_punit_claims_t *claims, const char **reason);


/*
 * When was it last asked whether the token is revoked: claims->checked_at
 * (valid if claims->checked), in milliseconds of ngx_current_msec, which the
 * workers of a machine share.  set: stores it for all; without effect when the
 * verdict is gone.  forget: drops the verdict (it was revoked).
 */

void ngx_http_punit_verdict_set_checked(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, ngx_msec_t now);
void ngx_http_punit_verdict_forget(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims);


/* frees up to n of the least recently used verdicts, shpool's mutex held: for
   whoever shares the zone and found it full; gives how many were freed */

ngx_uint_t ngx_http_punit_verdicts_evict_locked(
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool, ngx_uint_t n);


#endif /* _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_ */
