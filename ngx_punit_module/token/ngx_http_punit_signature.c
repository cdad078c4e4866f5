
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_signature.h>
#include <openssl/crypto.h>
#include <openssl/err.h>


/* SEQUENCE and its long length, two INTEGERs of up to 66 + 1 bytes. */

#define NGX_HTTP_PUNIT_DER_MAX  (3 + 2 * (2 + 1 + 66))


static ngx_int_t ngx_http_punit_signature_hmac(
    const ngx_http_punit_key_t *key, const ngx_http_punit_jws_t *jws);
static ngx_int_t ngx_http_punit_signature_eddsa(
    const ngx_http_punit_key_t *key, const ngx_http_punit_jws_t *jws);
static ngx_int_t ngx_http_punit_signature_hashed(
    const ngx_http_punit_key_t *key, const ngx_http_punit_jws_t *jws);
static size_t ngx_http_punit_signature_der(u_char *der, const u_char *rs,
    size_t coord);
static u_char *ngx_http_punit_signature_integer(u_char *p, const u_char *x,
    size_t len);


ngx_int_t
ngx_http_punit_signature_check(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws)
{
    ngx_int_t  rc;

    /* RFC 8725, 3.1: the algorithm of the key, never that of the token. */

    if (jws->alg != key->alg) {
        return NGX_DECLINED;
    }

    switch (key->alg->family) {

    case NGX_HTTP_PUNIT_HMAC:
        rc = ngx_http_punit_signature_hmac(key, jws);
        break;

    case NGX_HTTP_PUNIT_EDDSA:
        rc = ngx_http_punit_signature_eddsa(key, jws);
        break;

    default: /* ECDSA, RSA */
        rc = ngx_http_punit_signature_hashed(key, jws);
        break;
    }

    if (rc != NGX_OK) {
        /* Errors of OpenSSL must not show up later as a failure of TLS. */
        ERR_clear_error();
    }

    return rc;
}


static ngx_int_t
ngx_http_punit_signature_hmac(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws)
{
    size_t        len;
    u_char        md[EVP_MAX_MD_SIZE];
    ngx_int_t     rc;
    EVP_MAC_CTX  *ctx;

    ctx = EVP_MAC_CTX_dup(key->mac);
    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    rc = (EVP_MAC_update(ctx, jws->input.data, jws->input.len) == 1
          && EVP_MAC_final(ctx, md, &len, sizeof(md)) == 1
          && len == jws->signature.len
          && CRYPTO_memcmp(md, jws->signature.data, len) == 0)
         ? NGX_OK : NGX_DECLINED;

    EVP_MAC_CTX_free(ctx);

    return rc;
}


static ngx_int_t
ngx_http_punit_signature_eddsa(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws)
{
    ngx_int_t    rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    rc = (EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) == 1
          && EVP_DigestVerify(ctx, jws->signature.data, jws->signature.len,
                              jws->input.data, jws->input.len) == 1)
         ? NGX_OK : NGX_DECLINED;

    EVP_MD_CTX_free(ctx);

    return rc;
}


static ngx_int_t
ngx_http_punit_signature_hashed(const ngx_http_punit_key_t *key,
    const ngx_http_punit_jws_t *jws)
{
    size_t         siglen;
    u_char         md[EVP_MAX_MD_SIZE], der[NGX_HTTP_PUNIT_DER_MAX];
    unsigned int   mdlen;
    ngx_int_t      rc;
    const u_char  *sig;
    EVP_PKEY_CTX  *ctx;

    sig = jws->signature.data;
    siglen = jws->signature.len;

    if (key->alg->family == NGX_HTTP_PUNIT_ECDSA) {

        /* RFC 7518, 3.4: r and s, each of the full length. */

        if (siglen != 2 * key->alg->coord) {
            return NGX_DECLINED;
        }

        siglen = ngx_http_punit_signature_der(der, sig, key->alg->coord);
        sig = der;
    }

    if (EVP_Digest(jws->input.data, jws->input.len, md, &mdlen, key->md, NULL)
        != 1)
    {
        return NGX_DECLINED;
    }

    ctx = EVP_PKEY_CTX_dup(key->verify);
    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    rc = (EVP_PKEY_verify(ctx, sig, siglen, md, mdlen) == 1)
         ? NGX_OK : NGX_DECLINED;

    EVP_PKEY_CTX_free(ctx);

    return rc;
}


/* r || s -> Ecdsa-Sig-Value of RFC 3279, 2.2.3 (X.690, 8.3, 10.1). */

static size_t
ngx_http_punit_signature_der(u_char *der, const u_char *rs, size_t coord)
{
    size_t   len;
    u_char  *p, body[NGX_HTTP_PUNIT_DER_MAX];

    p = ngx_http_punit_signature_integer(body, rs, coord);
    p = ngx_http_punit_signature_integer(p, rs + coord, coord);
    len = p - body;

    p = der;
    *p++ = 0x30;

    if (len > 127) {
        *p++ = 0x81;
    }

    *p++ = (u_char) len;
    p = ngx_cpymem(p, body, len);

    return p - der;
}


static u_char *
ngx_http_punit_signature_integer(u_char *p, const u_char *x, size_t len)
{
    while (len > 1 && *x == 0) {
        x++;
        len--;
    }

    *p++ = 0x02;

    if (*x & 0x80) {
        *p++ = (u_char) (len + 1);
        *p++ = 0;

    } else {
        *p++ = (u_char) len;
    }

    return ngx_cpymem(p, x, len);
}
