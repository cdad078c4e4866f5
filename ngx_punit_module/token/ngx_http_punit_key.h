
/*
 * Keys that verify tokens.  A key has the one algorithm that it may be used
 * with (RFC 8725, 3.1); the token never chooses it.  Keys are made at
 * configuration time and never written afterwards.
 */


#ifndef _NGX_HTTP_PUNIT_KEY_H_INCLUDED_
#define _NGX_HTTP_PUNIT_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <openssl/evp.h>


#define NGX_HTTP_PUNIT_DIGEST_LEN    32
#define NGX_HTTP_PUNIT_SECRET_MIN    32        /* RFC 7518, 3.2 */
#define NGX_HTTP_PUNIT_RSA_BITS_MIN  2048      /* RFC 7518, 3.3 */


typedef enum {
    NGX_HTTP_PUNIT_ECDSA = 0,
    NGX_HTTP_PUNIT_RSA_PKCS1,
    NGX_HTTP_PUNIT_RSA_PSS,
    NGX_HTTP_PUNIT_EDDSA,
    NGX_HTTP_PUNIT_HMAC
} ngx_http_punit_family_e;


/* A signature algorithm of RFC 7518 or RFC 8037. */

typedef struct {
    ngx_str_t                       name;      /* "ES256" */
    ngx_http_punit_family_e         family;
    const char                     *md;        /* NULL: EdDSA */
    const char                     *group;     /* curve's name in OpenSSL */
    const char                     *crv;       /* and in RFC 7518, 6.2.1.1 */
    size_t                          coord;     /* ECDSA: bytes of r and of s */
} ngx_http_punit_alg_t;


typedef struct {
    ngx_str_t                       kid;       /* may be empty (JWKS) */
    const ngx_http_punit_alg_t     *alg;

    EVP_PKEY                       *pkey;      /* NULL: HMAC */
    EVP_MD                         *md;        /* NULL: EdDSA, HMAC */
    EVP_PKEY_CTX                   *verify;    /* template, ready to be
                                                  duplicated; NULL: EdDSA */
    EVP_MAC_CTX                    *mac;       /* template; HMAC only */

    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
} ngx_http_punit_key_t;


/* Why a key was refused: a sentence without file name and full stop. */

typedef struct {
    u_char                          text[256];
} ngx_http_punit_key_error_t;


/* The algorithm of that name (case matters), NULL if it is not supported. */

const ngx_http_punit_alg_t *ngx_http_punit_key_alg(const u_char *name,
    size_t len);


/*
 * One key.  key->kid and key->alg must be set; text need not end with NUL.
 * pem: one SubjectPublicKeyInfo (RFC 7468, 13) and nothing else.  secret: the
 * raw bytes of an HMAC key; one line end at the end is ignored.  pkey: takes
 * pkey over, also on failure.  NGX_OK or NGX_ERROR with err->text set.
 */

ngx_int_t ngx_http_punit_key_pem(ngx_http_punit_key_t *key,
    const u_char *text, size_t len, ngx_http_punit_key_error_t *err);
ngx_int_t ngx_http_punit_key_secret(ngx_http_punit_key_t *key,
    const u_char *text, size_t len, ngx_http_punit_key_error_t *err);
ngx_int_t ngx_http_punit_key_pkey(ngx_http_punit_key_t *key, EVP_PKEY *pkey,
    ngx_http_punit_key_error_t *err);
void ngx_http_punit_key_free(ngx_http_punit_key_t *key);


#endif /* _NGX_HTTP_PUNIT_KEY_H_INCLUDED_ */
