
/*
 * JSON Web Signatures in the compact form (RFC 7515), as access tokens use
 * them (RFC 9068, RFC 8725).  Nothing here needs a request.
 */


#ifndef _NGX_HTTP_PUNIT_JWS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_JWS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>


#define NGX_HTTP_PUNIT_TOKEN_MAX     16384     /* bytes of a compact token */


/* The parts of a compact JWS; nothing of it is trusted yet. */

typedef struct {
    ngx_str_t                       input;     /* what was signed */
    ngx_str_t                       payload;   /* decoded */
    ngx_str_t                       signature; /* decoded */
    ngx_str_t                       kid;       /* empty: absent */
    const ngx_http_punit_alg_t     *alg;       /* never NULL */
} ngx_http_punit_jws_t;


/*
 * Takes a compact JWS apart.  buf has at least 2 * token->len bytes, which
 * jws points into.  NGX_OK or NGX_DECLINED with *reason set to a constant.
 * Refused: anything but three strict base64url parts, a header that is no
 * object or has members twice, crit (RFC 7515, 4.1.11: none is understood),
 * b64, an unsupported alg, a typ other than JWT and at+jwt.
 */

ngx_int_t ngx_http_punit_jws_parse(ngx_http_punit_jws_t *jws,
    const ngx_str_t *token, u_char *buf, const char **reason);


#endif /* _NGX_HTTP_PUNIT_JWS_H_INCLUDED_ */
