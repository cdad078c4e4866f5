
/*
 * The set of keys of a configuration: create it once, add any number of
 * directories and JWKS files, then seal it.  The pool of cf frees it.
 * Mistakes are logged with the file and with what was expected.
 */


#ifndef _NGX_HTTP_PUNIT_KEY_SET_H_INCLUDED_
#define _NGX_HTTP_PUNIT_KEY_SET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>


typedef struct {
    ngx_array_t                     keys;      /* ngx_http_punit_key_t */
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
} ngx_http_punit_key_set_t;


ngx_http_punit_key_set_t *ngx_http_punit_key_set_create(ngx_conf_t *cf);


/* Adds <kid>.<alg>.pem and <kid>.HS256.secret of dir, a full path. */

ngx_int_t ngx_http_punit_key_set_dir(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys, ngx_str_t *dir);


/* Adds a JWK Set (RFC 7517, 5); file is a full path. */

ngx_int_t ngx_http_punit_key_set_jwks(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys, ngx_str_t *file);


/*
 * Refuses an empty set, sorts it, and makes the digest that is part of each
 * verdict's key.  Call it once, before the first verdict.
 */

ngx_int_t ngx_http_punit_key_set_seal(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys);


#endif /* _NGX_HTTP_PUNIT_KEY_SET_H_INCLUDED_ */
