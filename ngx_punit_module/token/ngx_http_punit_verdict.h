
/*
 * Is this token good?  The verdict comes from the cache, else from the
 * signature and the claims.
 */


#ifndef _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_claims.h>
#include <ngx_http_punit_key_set.h>
#include <ngx_http_punit_verdict_cache.h>


/* That many keys are tried for a token whose kid is unknown or absent. */

#define NGX_HTTP_PUNIT_VERDICT_TRIES  8


/*
 * The token that a connection used last, so that it need not be hashed again.
 * It holds for one policy and one key set.  Zero at first.
 */

typedef struct {
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    u_char                          policy[NGX_HTTP_PUNIT_DIGEST_LEN];
    u_char                          keys[NGX_HTTP_PUNIT_DIGEST_LEN];
    ngx_str_t                       token;
    size_t                          room;
    ngx_pool_t                     *pool;      /* for token */
} ngx_http_punit_verdict_memo_t;


/*
 * NGX_OK: the token is good, claims are filled from pool.  NGX_DECLINED: it is
 * not, *reason is one of: malformed, header, type, algorithm, key, signature,
 * claims, expired, not-yet-valid, issuer, audience, unit.  NGX_ERROR: no
 * memory.  cache and memo may be NULL.
 */

ngx_int_t ngx_http_punit_verdict(ngx_pool_t *pool,
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_verdict_memo_t *memo, ngx_http_punit_key_set_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token,
    ngx_http_punit_claims_t *claims, const char **reason);


#endif /* _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_ */
