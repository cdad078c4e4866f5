
/*
 * Is this token good?  From the verdicts that are kept, else from its
 * signature and claims.
 */


#ifndef _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jwt.h>
#include <ngx_http_punit_key.h>
#include <ngx_http_punit_verdicts.h>


/* a token whose kid is unknown or absent is tried with that many keys */

#define NGX_HTTP_PUNIT_VERDICT_TRIES  8


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
 * NGX_OK: the token is good, claims are filled from pool.  NGX_DECLINED: it is
 * not, *reason is one of: malformed, header, type, algorithm, key, signature,
 * claims, expired, not-yet-valid, issuer, audience, unit.  NGX_ERROR: without
 * memory.  cache and memo may be NULL.
 */

ngx_int_t ngx_http_punit_verdict(ngx_pool_t *pool,
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_memo_t *memo, ngx_http_punit_keys_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token,
    ngx_http_punit_claims_t *claims, const char **reason);


#endif /* _NGX_HTTP_PUNIT_VERDICT_H_INCLUDED_ */
