
/*
 * JSON Web Tokens: compact JWS (RFC 7515), claims (RFC 7519), access token
 * profile (RFC 9068), best practice (RFC 8725).  Nothing here needs a request.
 */


#ifndef _NGX_HTTP_PUNIT_JWT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>


#define NGX_HTTP_PUNIT_TOKEN_MAX     16384     /* bytes of a compact token */


/* a compact JWS taken apart; nothing of it is trusted yet */

typedef struct {
    ngx_str_t                       input;     /* what was signed */
    ngx_str_t                       payload;   /* decoded */
    ngx_str_t                       signature; /* decoded */
    ngx_str_t                       kid;       /* empty: absent */
    const ngx_http_punit_alg_t     *alg;       /* never NULL */
} ngx_http_punit_jws_t;


/* what every verdict is given by; filled at merge, then sealed */

typedef struct {
    ngx_str_t                       issuer;    /* empty: not checked */
    ngx_array_t                    *audience;  /* ngx_str_t; NULL: any */
    time_t                          leeway;    /* seconds */
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
} ngx_http_punit_policy_t;


/*
 * Claims of a token that was found good.  All strings lie in the caller's
 * pool; user, jti, sid and unit hold only 0x21..0x7e, so they are safe in
 * headers, parameters, memcached keys and logs; absent claims are empty or 0.
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
    time_t                          iat;       /* 0: absent */
    time_t                          nbf;       /* 0: absent */

    /* of the verdict: see ngx_http_punit_verdict.h */
    ngx_msec_t                      checked_at;
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    unsigned                        checked:1; /* checked_at is set */
    unsigned                        cached:1;  /* it came from the cache */
} ngx_http_punit_claims_t;


/*
 * Takes a compact JWS apart.  buf: at least 2 * token->len bytes, which jws
 * points into.  NGX_OK or NGX_DECLINED with *reason set to a constant.
 * Refused: anything but three strict base64url parts, a header that is no
 * object or has members twice, crit (RFC 7515, 4.1.11: none is understood),
 * b64, an unsupported alg, a typ other than JWT and at+jwt.
 */

ngx_int_t ngx_http_punit_jws_parse(ngx_http_punit_jws_t *jws,
    const ngx_str_t *token, u_char *buf, const char **reason);


/*
 * Reads and checks the claims of a payload whose signature was found good.
 * now: seconds since 1970.  kid: that of the key which verified; the unit in
 * it, if it has the form <unit>-<number>, must be that of the claim.
 * NGX_OK, NGX_DECLINED with *reason set, NGX_ERROR without memory.
 */

ngx_int_t ngx_http_punit_claims_parse(ngx_pool_t *pool,
    ngx_http_punit_claims_t *claims, const ngx_str_t *payload,
    const ngx_str_t *kid, const ngx_http_punit_policy_t *policy, time_t now,
    const char **reason);


/*
 * One member of the claims by name, as text: strings as they are, numbers,
 * true and false as JSON, arrays of strings joined by a space, else JSON.
 * NGX_OK, NGX_DECLINED (absent, or it holds control characters), NGX_ERROR.
 */

ngx_int_t ngx_http_punit_claim(ngx_pool_t *pool,
    const ngx_http_punit_claims_t *claims, const ngx_str_t *name,
    ngx_str_t *value);


/*
 * Does the claim hold the value (punit_require)?  A string, number or boolean
 * that reads so, an array with such a member, or for "scope" (RFC 8693, 4.2)
 * a word of the string.  1 or 0.
 */

ngx_uint_t ngx_http_punit_claim_has(const ngx_http_punit_claims_t *claims,
    const ngx_str_t *name, const ngx_str_t *value);


/* to be called once the policy is complete: makes policy->digest */

ngx_int_t ngx_http_punit_policy_seal(ngx_http_punit_policy_t *policy);


#endif /* _NGX_HTTP_PUNIT_JWT_H_INCLUDED_ */
