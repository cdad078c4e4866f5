
/* JWK Sets: RFC 7517, RFC 7518 section 6, RFC 8037 section 2. */


#ifndef _NGX_HTTP_PUNIT_JWKS_H_INCLUDED_
#define _NGX_HTTP_PUNIT_JWKS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>


/*
 * Adds the signature keys of a JWK Set to keys (ngx_http_punit_key_t).  Names
 * are taken from pool.  Keys for other purposes (use other than sig, key_ops
 * without verify, kty or alg that are not supported) are skipped and counted:
 * RFC 7517, 5.  A broken key is skipped too: bad, of
 * ngx_http_punit_key_error_t, gets its number and its fault.  A symmetric or
 * private key was published by mistake, and fails the whole set.  NGX_OK or
 * NGX_ERROR with err->text set; keys before the mistake stay in the array.
 */

ngx_int_t ngx_http_punit_jwks_parse(ngx_pool_t *pool, ngx_array_t *keys,
    const u_char *text, size_t len, ngx_uint_t *skipped,
    ngx_array_t *bad, ngx_http_punit_key_error_t *err);


#endif /* _NGX_HTTP_PUNIT_JWKS_H_INCLUDED_ */
