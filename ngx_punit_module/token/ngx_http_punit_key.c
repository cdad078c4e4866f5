
/*
 * One key, from a PEM text, a secret or an OpenSSL key.  It is checked against
 * its algorithm, and prepared so that a check only duplicates a context.
 * Algorithms are fetched here, once: a fetch costs microseconds.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>


static ngx_int_t ngx_http_punit_key_type(ngx_http_punit_key_t *key,
    ngx_http_punit_key_error_t *err);
static ngx_int_t ngx_http_punit_key_rsa(EVP_PKEY *pkey,
    ngx_http_punit_key_error_t *err);
static ngx_uint_t ngx_http_punit_key_roca(const BIGNUM *n);
static ngx_int_t ngx_http_punit_key_prepare(ngx_http_punit_key_t *key);
static ngx_int_t ngx_http_punit_key_digest(ngx_http_punit_key_t *key,
    const u_char *data, size_t len);


#define ngx_http_punit_key_err(err, ...)                                      \
    (void) snprintf((char *) (err)->text, sizeof((err)->text), __VA_ARGS__)


static const ngx_http_punit_alg_t  ngx_http_punit_key_algs[] = {

    { ngx_string("ES256"), NGX_HTTP_PUNIT_ECDSA, "SHA256",
      "prime256v1", "P-256", 32 },
    { ngx_string("ES384"), NGX_HTTP_PUNIT_ECDSA, "SHA384",
      "secp384r1", "P-384", 48 },
    { ngx_string("ES512"), NGX_HTTP_PUNIT_ECDSA, "SHA512",
      "secp521r1", "P-521", 66 },

    { ngx_string("RS256"), NGX_HTTP_PUNIT_RSA_PKCS1, "SHA256", NULL, NULL, 0 },
    { ngx_string("RS384"), NGX_HTTP_PUNIT_RSA_PKCS1, "SHA384", NULL, NULL, 0 },
    { ngx_string("RS512"), NGX_HTTP_PUNIT_RSA_PKCS1, "SHA512", NULL, NULL, 0 },

    { ngx_string("PS256"), NGX_HTTP_PUNIT_RSA_PSS, "SHA256", NULL, NULL, 0 },
    { ngx_string("PS384"), NGX_HTTP_PUNIT_RSA_PSS, "SHA384", NULL, NULL, 0 },
    { ngx_string("PS512"), NGX_HTTP_PUNIT_RSA_PSS, "SHA512", NULL, NULL, 0 },

    { ngx_string("EdDSA"), NGX_HTTP_PUNIT_EDDSA, NULL,
      "ED25519", "Ed25519", 0 },

    { ngx_string("HS256"), NGX_HTTP_PUNIT_HMAC, "SHA256", NULL, NULL, 0 },

    { ngx_null_string, NGX_HTTP_PUNIT_HMAC, NULL, NULL, NULL, 0 }
};


const ngx_http_punit_alg_t *
ngx_http_punit_key_alg(const u_char *name, size_t len)
{
    const ngx_http_punit_alg_t  *alg;

    /* RFC 9864, 2.2: a name of EdDSA with the one curve that is supported. */

    if (len == sizeof("Ed25519") - 1 && ngx_memcmp(name, "Ed25519", len) == 0)
    {
        name = (const u_char *) "EdDSA";
        len = sizeof("EdDSA") - 1;
    }

    for (alg = ngx_http_punit_key_algs; alg->name.len; alg++) {
        if (alg->name.len == len && ngx_memcmp(alg->name.data, name, len) == 0)
        {
            return alg;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_punit_key_pem(ngx_http_punit_key_t *key, const u_char *text,
    size_t len, ngx_http_punit_key_error_t *err)
{
    BIO            *bio;
    char           *name, *header;
    long            n;
    u_char         *der;
    EVP_PKEY       *pkey;
    ngx_int_t       rc;
    const u_char   *p;

    name = NULL;
    header = NULL;
    der = NULL;
    pkey = NULL;
    rc = NGX_ERROR;

    bio = BIO_new_mem_buf(text, (int) len);
    if (bio == NULL) {
        ngx_http_punit_key_err(err, "out of memory");
        return NGX_ERROR;
    }

    if (PEM_read_bio(bio, &name, &header, &der, &n) != 1) {
        ngx_http_punit_key_err(err, "no PEM found, expected a public key "
                               "(-----BEGIN PUBLIC KEY-----)");
        goto done;
    }

    if (strstr(name, "PRIVATE KEY") != NULL) {
        ngx_http_punit_key_err(err, "this is a private key, which does not "
                               "belong here: expected only the public one "
                               "(openssl pkey -pubout)");
        goto done;
    }

    if (strcmp(name, "PUBLIC KEY") != 0) {
        ngx_http_punit_key_err(err, "it holds \"%.64s\", expected a public "
                               "key (-----BEGIN PUBLIC KEY-----)", name);
        goto done;
    }

    p = der;
    pkey = d2i_PUBKEY(NULL, &p, n);

    if (pkey == NULL || p != der + n) {
        ngx_http_punit_key_err(err, "the public key cannot be parsed");
        goto done;
    }

    /* A private key after a public one is still a private key. */

    OPENSSL_free(der);
    OPENSSL_free(header);
    OPENSSL_free(name);
    name = NULL;
    header = NULL;
    der = NULL;

    if (PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
        ngx_http_punit_key_err(err, "it holds more than one PEM, expected one "
                               "public key");
        goto done;
    }

    rc = ngx_http_punit_key_pkey(key, pkey, err);
    pkey = NULL;

done:

    if (der) {
        OPENSSL_clear_free(der, n);
    }

    OPENSSL_free(header);
    OPENSSL_free(name);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
    ERR_clear_error();

    return rc;
}


ngx_int_t
ngx_http_punit_key_pkey(ngx_http_punit_key_t *key, EVP_PKEY *pkey,
    ngx_http_punit_key_error_t *err)
{
    int        len;
    u_char    *der;
    ngx_int_t  rc;

    key->pkey = pkey;

    rc = ngx_http_punit_key_type(key, err);

    if (rc == NGX_OK) {
        der = NULL;
        len = i2d_PUBKEY(pkey, &der);

        if (len <= 0
            || ngx_http_punit_key_digest(key, der, len) != NGX_OK
            || ngx_http_punit_key_prepare(key) != NGX_OK)
        {
            ngx_http_punit_key_err(err, "OpenSSL cannot use it for %s: %s",
                                   key->alg->name.data,
                                   ERR_reason_error_string(ERR_peek_error()));
            rc = NGX_ERROR;
        }

        OPENSSL_free(der);
    }

    if (rc != NGX_OK) {
        ngx_http_punit_key_free(key);
    }

    ERR_clear_error();

    return rc;
}


ngx_int_t
ngx_http_punit_key_secret(ngx_http_punit_key_t *key, const u_char *text,
    size_t len, ngx_http_punit_key_error_t *err)
{
    EVP_MAC     *mac;
    ngx_int_t    rc;
    OSSL_PARAM   params[2];

    /* The line end comes from an editor and is not part of the secret. */

    if (len && text[len - 1] == '\n') {
        len--;

        if (len && text[len - 1] == '\r') {
            len--;
        }
    }

    if (len < NGX_HTTP_PUNIT_SECRET_MIN) {
        ngx_http_punit_key_err(err, "the secret has %lu bytes, expected at "
                               "least %d", (unsigned long) len,
                               NGX_HTTP_PUNIT_SECRET_MIN);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac) {
        key->mac = EVP_MAC_CTX_new(mac);
        EVP_MAC_free(mac);

        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                     (char *) key->alg->md, 0);
        params[1] = OSSL_PARAM_construct_end();

        if (key->mac
            && EVP_MAC_init(key->mac, text, len, params) == 1
            && ngx_http_punit_key_digest(key, text, len) == NGX_OK)
        {
            rc = NGX_OK;
        }
    }

    if (rc != NGX_OK) {
        ngx_http_punit_key_err(err, "OpenSSL cannot use it for %s: %s",
                               key->alg->name.data,
                               ERR_reason_error_string(ERR_peek_error()));
        ngx_http_punit_key_free(key);
    }

    ERR_clear_error();

    return rc;
}


void
ngx_http_punit_key_free(ngx_http_punit_key_t *key)
{
    EVP_MAC_CTX_free(key->mac);
    EVP_PKEY_CTX_free(key->verify);
    EVP_MD_free(key->md);
    EVP_PKEY_free(key->pkey);

    key->mac = NULL;
    key->verify = NULL;
    key->md = NULL;
    key->pkey = NULL;
}


/* Does the key fit its algorithm, and is it strong enough? */

static ngx_int_t
ngx_http_punit_key_type(ngx_http_punit_key_t *key,
    ngx_http_punit_key_error_t *err)
{
    char                         group[64];
    size_t                       len;
    const ngx_http_punit_alg_t  *alg;

    alg = key->alg;

    switch (alg->family) {

    case NGX_HTTP_PUNIT_ECDSA:

        if (!EVP_PKEY_is_a(key->pkey, "EC")) {
            break;
        }

        /*
         * Explicit curve parameters have no name and fail here (RFC 8422,
         * 5.1.1 forbids them too).
         */

        if (EVP_PKEY_get_group_name(key->pkey, group, sizeof(group), &len) != 1
            || strcmp(group, alg->group) != 0)
        {
            ngx_http_punit_key_err(err, "its curve does not fit %s, expected "
                                   "%s", alg->name.data, alg->crv);
            return NGX_ERROR;
        }

        return NGX_OK;

    case NGX_HTTP_PUNIT_RSA_PKCS1:
    case NGX_HTTP_PUNIT_RSA_PSS:

        if (!EVP_PKEY_is_a(key->pkey, "RSA")) {
            break;
        }

        return ngx_http_punit_key_rsa(key->pkey, err);

    case NGX_HTTP_PUNIT_EDDSA:

        if (!EVP_PKEY_is_a(key->pkey, alg->group)) {
            break;
        }

        return NGX_OK;

    case NGX_HTTP_PUNIT_HMAC:
        break;
    }

    ngx_http_punit_key_err(err, "its type, %s, does not fit %s",
                           EVP_PKEY_get0_type_name(key->pkey),
                           alg->name.data);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_punit_key_rsa(EVP_PKEY *pkey, ngx_http_punit_key_error_t *err)
{
    int        bits;
    BIGNUM    *n, *e;
    ngx_int_t  rc;

    n = NULL;
    e = NULL;
    rc = NGX_ERROR;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1
        || EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
    {
        ngx_http_punit_key_err(err, "the RSA key has no modulus or exponent");
        goto done;
    }

    bits = BN_num_bits(n);

    if (bits < NGX_HTTP_PUNIT_RSA_BITS_MIN) {
        ngx_http_punit_key_err(err, "the RSA key has %d bits, expected at "
                               "least %d", bits, NGX_HTTP_PUNIT_RSA_BITS_MIN);
        goto done;
    }

    if (bits > OPENSSL_RSA_MAX_MODULUS_BITS) {
        ngx_http_punit_key_err(err, "the RSA key has %d bits, expected at "
                               "most %d", bits, OPENSSL_RSA_MAX_MODULUS_BITS);
        goto done;
    }

    if (!BN_is_odd(e) || BN_is_one(e) || !BN_is_odd(n)) {
        ngx_http_punit_key_err(err, "the RSA key's modulus and exponent must "
                               "be odd, the exponent above 1");
        goto done;
    }

    if (ngx_http_punit_key_roca(n)) {
        ngx_http_punit_key_err(err, "the RSA key's modulus has the form of "
                               "CVE-2017-15361 (ROCA): its private key can "
                               "be computed");
        goto done;
    }

    rc = NGX_OK;

done:

    BN_free(n);
    BN_free(e);

    return rc;
}


/*
 * Nemec et al., "The Return of Coppersmith's Attack" (CCS 2017), 3.2: moduli
 * of the broken generator are powers of 65537 modulo each small prime.  A
 * random modulus passes for all these primes with probability 2^-30.
 */

static ngx_uint_t
ngx_http_punit_key_roca(const BIGNUM *n)
{
    BN_ULONG                      r, x;
    ngx_uint_t                    i;
    static const unsigned short   primes[] = {
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67,
        71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139,
        149, 151, 157, 163, 167
    };

    for (i = 0; i < sizeof(primes) / sizeof(primes[0]); i++) {

        r = BN_mod_word(n, primes[i]);

        for (x = 65537 % primes[i]; x != r; /* void */ ) {

            if (x == 1) {
                /* The whole group was seen. */
                return 0;
            }

            x = x * 65537 % primes[i];
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_punit_key_prepare(ngx_http_punit_key_t *key)
{
    if (key->alg->family == NGX_HTTP_PUNIT_EDDSA) {
        return NGX_OK;
    }

    key->md = EVP_MD_fetch(NULL, key->alg->md, NULL);
    key->verify = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);

    if (key->md == NULL
        || key->verify == NULL
        || EVP_PKEY_verify_init(key->verify) != 1
        || EVP_PKEY_CTX_set_signature_md(key->verify, key->md) != 1)
    {
        return NGX_ERROR;
    }

    if (key->alg->family == NGX_HTTP_PUNIT_RSA_PKCS1
        && EVP_PKEY_CTX_set_rsa_padding(key->verify, RSA_PKCS1_PADDING) != 1)
    {
        return NGX_ERROR;
    }

    /* RFC 7518, 3.5: MGF1 and salt as the hash. */

    if (key->alg->family == NGX_HTTP_PUNIT_RSA_PSS
        && (EVP_PKEY_CTX_set_rsa_padding(key->verify, RSA_PKCS1_PSS_PADDING)
            != 1
            || EVP_PKEY_CTX_set_rsa_mgf1_md(key->verify, key->md) != 1
            || EVP_PKEY_CTX_set_rsa_pss_saltlen(key->verify,
                                                RSA_PSS_SALTLEN_DIGEST) != 1))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Of algorithm, kid and key, each with its length. */

static ngx_int_t
ngx_http_punit_key_digest(ngx_http_punit_key_t *key, const u_char *data,
    size_t len)
{
    uint64_t     lens[3];
    ngx_int_t    rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    lens[0] = key->alg->name.len;
    lens[1] = key->kid.len;
    lens[2] = len;

    rc = (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1
          && EVP_DigestUpdate(ctx, lens, sizeof(lens)) == 1
          && EVP_DigestUpdate(ctx, key->alg->name.data, key->alg->name.len)
             == 1
          && EVP_DigestUpdate(ctx, key->kid.data, key->kid.len) == 1
          && EVP_DigestUpdate(ctx, data, len) == 1
          && EVP_DigestFinal_ex(ctx, key->digest, NULL) == 1)
         ? NGX_OK : NGX_ERROR;

    EVP_MD_CTX_free(ctx);

    return rc;
}
