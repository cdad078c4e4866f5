
/*
 * The signature layer: (key with its pinned algorithm, token) -> ok | refused.
 * Needs OpenSSL and nothing of a request.
 */


#ifndef _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jwt.h>
#include <ngx_http_punit_key.h>


/*
 * NGX_OK: the token names the key's algorithm and its signature is that key's.
 * NGX_DECLINED: anything else, OpenSSL's own trouble included.
 */

ngx_int_t ngx_http_punit_signature_check(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws);


#endif /* _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_ */
