
/* A single claim by its name: for variables and punit_require. */


#ifndef _NGX_HTTP_PUNIT_NAMED_CLAIM_H_INCLUDED_
#define _NGX_HTTP_PUNIT_NAMED_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_claims.h>


/*
 * One member of the claims as text.  Strings stay as they are.  Numbers, true
 * and false become JSON.  Arrays of strings are joined by a space.  The rest
 * becomes JSON.  NGX_OK, NGX_DECLINED (absent, or it holds control
 * characters), NGX_ERROR.
 */

ngx_int_t ngx_http_punit_named_claim(ngx_pool_t *pool,
    const ngx_http_punit_claims_t *claims, const ngx_str_t *name,
    ngx_str_t *value);


/*
 * Does the claim hold the value?  It does if a string, number or boolean
 * reads so, if an array has such a member, or, for "scope" (RFC 8693, 4.2),
 * if a word of the string is the value.  1 or 0.
 */

ngx_uint_t ngx_http_punit_named_claim_has(
    const ngx_http_punit_claims_t *claims, const ngx_str_t *name,
    const ngx_str_t *value);


#endif /* _NGX_HTTP_PUNIT_NAMED_CLAIM_H_INCLUDED_ */
