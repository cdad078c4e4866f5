
/* The claims of a token: RFC 7519, RFC 8725, RFC 9068. */


#ifndef _NGX_HTTP_PUNIT_CLAIMS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_CLAIMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>
#include <ngx_http_punit_policy.h>


/*
 * Claims of a good token.  All strings lie in the caller's pool.  user, jti,
 * sid and unit hold only 0x21..0x7e, so they are safe in headers, parameters,
 * memcached keys and logs.  Absent claims are empty or 0.
 */

typedef struct {
    ngx_str_t                       user;      /* sub */
    ngx_str_t                       jti;
    ngx_str_t                       sid;
    ngx_str_t                       unit;      /* [a-z0-9-]{1,32} */
    ngx_str_t                       roles;     /* joined by one space */
    ngx_str_t                       issuer;
    ngx_str_t                       kid;       /* of the key that verified */
    ngx_str_t                       payload;   /* the claims, raw JSON */
    uint64_t                        epoch;
    uint64_t                        gen;
    time_t                          exp;
    time_t                          iat;
    time_t                          nbf;

    /* of the verdict: see ngx_http_punit_verdict_cache.h */
    ngx_msec_t                      checked_at;
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    unsigned                        checked:1; /* checked_at is set */
    unsigned                        cached:1;  /* it came from the cache */
} ngx_http_punit_claims_t;


/*
 * Reads and checks the claims of a payload whose signature is good.
 * now: seconds since 1970.  kid: of the key that verified.  If kid has the
 * form <unit>-<number>, its unit must be the unit of the claim.
 * NGX_OK, NGX_DECLINED with *reason set, NGX_ERROR without memory.
 */

ngx_int_t ngx_http_punit_claims_parse(ngx_pool_t *pool,
    ngx_http_punit_claims_t *claims, const ngx_str_t *payload,
    const ngx_str_t *kid, const ngx_http_punit_policy_t *policy, time_t now,
    const char **reason);


#endif /* _NGX_HTTP_PUNIT_CLAIMS_H_INCLUDED_ */
