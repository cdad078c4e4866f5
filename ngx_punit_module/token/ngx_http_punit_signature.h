
/*
 * The signature layer: (key with its algorithm, token) -> ok or refused.  It
 * needs OpenSSL and no request.
 */


#ifndef _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jws.h>
#include <ngx_http_punit_key.h>


/*
 * NGX_OK: the token names the algorithm of the key, and the signature is good.
 * NGX_DECLINED: anything else, failures of OpenSSL included.
 */

ngx_int_t ngx_http_punit_signature_check(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws);


#endif /* _NGX_HTTP_PUNIT_SIGNATURE_H_INCLUDED_ */
