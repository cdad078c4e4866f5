
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_base64url.h>
#include <ngx_http_punit_jwks.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>


#define NGX_HTTP_PUNIT_JWK_OCTETS  2048       /* RSA of 16384 bits */


typedef struct {
    u_char      data[NGX_HTTP_PUNIT_JWK_OCTETS];
    size_t      len;
} ngx_http_punit_jwk_octets_t;


static ngx_int_t ngx_http_punit_jwk(ngx_pool_t *pool, ngx_array_t *keys,
    json_t *jwk, ngx_uint_t i, ngx_http_punit_key_error_t *err);
static ngx_uint_t ngx_http_punit_jwk_verifies(json_t *jwk);
static const ngx_http_punit_alg_t *ngx_http_punit_jwk_alg(json_t *jwk,
    const char *kty);
static EVP_PKEY *ngx_http_punit_jwk_ec(json_t *jwk,
    const ngx_http_punit_alg_t *alg);
static EVP_PKEY *ngx_http_punit_jwk_rsa(json_t *jwk);
static EVP_PKEY *ngx_http_punit_jwk_okp(json_t *jwk);
static EVP_PKEY *ngx_http_punit_jwk_pkey(const char *type,
    OSSL_PARAM_BLD *bld);
static ngx_int_t ngx_http_punit_jwk_octets(json_t *jwk, const char *name,
    ngx_http_punit_jwk_octets_t *octets);


#define ngx_http_punit_jwks_err(err, ...)                                     \
    (void) snprintf((char *) (err)->text, sizeof((err)->text), __VA_ARGS__)


ngx_int_t
ngx_http_punit_jwks_parse(ngx_pool_t *pool, ngx_array_t *keys,
    const u_char *text, size_t len, ngx_uint_t *skipped,
    ngx_array_t *bad, ngx_http_punit_key_error_t *err)
{
    size_t                       i;
    json_t                      *root, *set, *jwk;
    ngx_int_t                    rc;
    json_error_t                 jerr;
    ngx_http_punit_key_error_t  *fault;

    *skipped = 0;

    root = json_loadb((const char *) text, len, JSON_REJECT_DUPLICATES, &jerr);

    if (root == NULL) {
        ngx_http_punit_jwks_err(err, "it is not JSON: line %d: %.160s",
                                jerr.line, jerr.text);
        return NGX_ERROR;
    }

    set = json_object_get(root, "keys");

    if (!json_is_array(set)) {
        ngx_http_punit_jwks_err(err, "expected a JWK Set: an object with an "
                                "array \"keys\"");
        json_decref(root);
        return NGX_ERROR;
    }

    rc = NGX_OK;

    json_array_foreach(set, i, jwk) {
        rc = ngx_http_punit_jwk(pool, keys, jwk, i, err);

        if (rc == NGX_ERROR) {
            break;
        }

        if (rc == NGX_ABORT) {
            fault = ngx_array_push(bad);
            if (fault == NULL) {
                ngx_http_punit_jwks_err(err, "out of memory");
                rc = NGX_ERROR;
                break;
            }

            *fault = *err;
            rc = NGX_OK;
        }

        if (rc == NGX_DECLINED) {
            (*skipped)++;
            rc = NGX_OK;
        }
    }

    json_decref(root);
    ERR_clear_error();

    return rc;
}


/*
 * NGX_DECLINED: a key for another purpose.  NGX_ABORT: a broken one, with its
 * fault in err.  NGX_ERROR: the set must not be used.
 */

static ngx_int_t
ngx_http_punit_jwk(ngx_pool_t *pool, ngx_array_t *keys, json_t *jwk,
    ngx_uint_t i, ngx_http_punit_key_error_t *err)
{
    json_t                      *kid;
    EVP_PKEY                    *pkey;
    const char                  *kty;
    ngx_http_punit_key_t        *key;
    ngx_http_punit_key_error_t   why;

    kty = json_string_value(json_object_get(jwk, "kty"));

    if (kty == NULL) {
        ngx_http_punit_jwks_err(err, "key %u: no \"kty\"", (unsigned) i + 1);
        return NGX_ABORT;
    }

    /* A secret in a file made for publishing: RFC 7517, 9.2. */

    if (strcmp(kty, "oct") == 0) {
        ngx_http_punit_jwks_err(err, "key %u: it is symmetric (oct), expected "
                                "public keys; secrets belong into "
                                "<kid>.HS256.secret", (unsigned) i + 1);
        return NGX_ERROR;
    }

    if (json_object_get(jwk, "d")) {
        ngx_http_punit_jwks_err(err, "key %u: it is a private key (\"d\"), "
                                "expected public keys", (unsigned) i + 1);
        return NGX_ERROR;
    }

    kid = json_object_get(jwk, "kid");

    if (kid && !json_is_string(kid)) {
        ngx_http_punit_jwks_err(err, "key %u: \"kid\" is no string",
                                (unsigned) i + 1);
        return NGX_ABORT;
    }

    if (!ngx_http_punit_jwk_verifies(jwk)) {
        return NGX_DECLINED;
    }

    key = ngx_array_push(keys);
    if (key == NULL) {
        ngx_http_punit_jwks_err(err, "out of memory");
        return NGX_ERROR;
    }

    ngx_memzero(key, sizeof(ngx_http_punit_key_t));

    key->alg = ngx_http_punit_jwk_alg(jwk, kty);

    if (key->alg == NULL) {
        keys->nelts--;
        return NGX_DECLINED;
    }

    key->kid.len = json_string_length(kid);
    key->kid.data = ngx_pnalloc(pool, key->kid.len + 1);

    if (key->kid.data == NULL) {
        ngx_http_punit_jwks_err(err, "out of memory");
        return NGX_ERROR;
    }

    ngx_memcpy(key->kid.data, kid ? json_string_value(kid) : "",
               key->kid.len + 1);

    switch (key->alg->family) {

    case NGX_HTTP_PUNIT_ECDSA:
        pkey = ngx_http_punit_jwk_ec(jwk, key->alg);
        break;

    case NGX_HTTP_PUNIT_EDDSA:
        pkey = ngx_http_punit_jwk_okp(jwk);
        break;

    default:
        pkey = ngx_http_punit_jwk_rsa(jwk);
        break;
    }

    if (pkey == NULL) {
        ngx_http_punit_jwks_err(err, "key %u: its members make no %s key for "
                                "%s", (unsigned) i + 1, kty,
                                key->alg->name.data);
        keys->nelts--;
        return NGX_ABORT;
    }

    if (ngx_http_punit_key_pkey(key, pkey, &why) != NGX_OK) {
        ngx_http_punit_jwks_err(err, "key %u: %.200s", (unsigned) i + 1,
                                why.text);
        keys->nelts--;
        return NGX_ABORT;
    }

    return NGX_OK;
}


/* RFC 7517, 4.2 and 4.3. */

static ngx_uint_t
ngx_http_punit_jwk_verifies(json_t *jwk)
{
    size_t       i;
    json_t      *use, *ops, *op;
    const char  *s;

    use = json_object_get(jwk, "use");
    s = json_string_value(use);

    if (use && (s == NULL || strcmp(s, "sig") != 0)) {
        return 0;
    }

    ops = json_object_get(jwk, "key_ops");

    if (ops == NULL) {
        return 1;
    }

    json_array_foreach(ops, i, op) {
        s = json_string_value(op);

        if (s && strcmp(s, "verify") == 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * Without alg a curve has only one algorithm.  RSA has six, and issuers that
 * leave alg out sign with RS256.
 */

static const ngx_http_punit_alg_t *
ngx_http_punit_jwk_alg(json_t *jwk, const char *kty)
{
    json_t                      *alg;
    ngx_uint_t                   i;
    const char                  *crv, *name;
    const ngx_http_punit_alg_t  *a;
    static const char           *const curves[][2] = {
        { "P-256", "ES256" },
        { "P-384", "ES384" },
        { "P-521", "ES512" },
        { "Ed25519", "EdDSA" }
    };

    alg = json_object_get(jwk, "alg");
    name = NULL;

    if (alg) {
        name = json_string_value(alg);

    } else if (strcmp(kty, "RSA") == 0) {
        name = "RS256";

    } else {
        crv = json_string_value(json_object_get(jwk, "crv"));

        for (i = 0; crv && i < sizeof(curves) / sizeof(curves[0]); i++) {
            if (strcmp(crv, curves[i][0]) == 0) {
                name = curves[i][1];
            }
        }
    }

    if (name == NULL) {
        return NULL;
    }

    a = ngx_http_punit_key_alg((const u_char *) name, ngx_strlen(name));

    if (a == NULL || a->family == NGX_HTTP_PUNIT_HMAC) {
        return NULL;
    }

    return a;
}


static EVP_PKEY *
ngx_http_punit_jwk_ec(json_t *jwk, const ngx_http_punit_alg_t *alg)
{
    size_t                        n;
    u_char                        point[1 + 2 * 66];
    EVP_PKEY                     *pkey;
    const char                   *kty, *crv;
    OSSL_PARAM_BLD               *bld;
    ngx_http_punit_jwk_octets_t   x, y;

    kty = json_string_value(json_object_get(jwk, "kty"));
    crv = json_string_value(json_object_get(jwk, "crv"));
    n = alg->coord;

    /* RFC 7518, 6.2.1.2: coordinates have the full length. */

    if (strcmp(kty, "EC") != 0
        || crv == NULL
        || strcmp(crv, alg->crv) != 0
        || ngx_http_punit_jwk_octets(jwk, "x", &x) != NGX_OK
        || ngx_http_punit_jwk_octets(jwk, "y", &y) != NGX_OK
        || x.len != n
        || y.len != n)
    {
        return NULL;
    }

    point[0] = 4;
    ngx_memcpy(point + 1, x.data, n);
    ngx_memcpy(point + 1 + n, y.data, n);

    bld = OSSL_PARAM_BLD_new();
    pkey = NULL;

    if (bld
        && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           alg->group, 0)
        && OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
                                            point, 1 + 2 * n))
    {
        /* Refuses a point that is not on the curve. */
        pkey = ngx_http_punit_jwk_pkey("EC", bld);
    }

    OSSL_PARAM_BLD_free(bld);

    return pkey;
}


static EVP_PKEY *
ngx_http_punit_jwk_rsa(json_t *jwk)
{
    BIGNUM                       *n, *e;
    EVP_PKEY                     *pkey;
    const char                   *kty;
    OSSL_PARAM_BLD               *bld;
    ngx_http_punit_jwk_octets_t   modulus, exponent;

    kty = json_string_value(json_object_get(jwk, "kty"));

    if (strcmp(kty, "RSA") != 0
        || ngx_http_punit_jwk_octets(jwk, "n", &modulus) != NGX_OK
        || ngx_http_punit_jwk_octets(jwk, "e", &exponent) != NGX_OK)
    {
        return NULL;
    }

    n = BN_bin2bn(modulus.data, (int) modulus.len, NULL);
    e = BN_bin2bn(exponent.data, (int) exponent.len, NULL);
    bld = OSSL_PARAM_BLD_new();
    pkey = NULL;

    if (n && e && bld
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n)
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
    {
        pkey = ngx_http_punit_jwk_pkey("RSA", bld);
    }

    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);

    return pkey;
}


static EVP_PKEY *
ngx_http_punit_jwk_okp(json_t *jwk)
{
    const char                   *kty, *crv;
    ngx_http_punit_jwk_octets_t   x;

    kty = json_string_value(json_object_get(jwk, "kty"));
    crv = json_string_value(json_object_get(jwk, "crv"));

    if (strcmp(kty, "OKP") != 0
        || crv == NULL
        || strcmp(crv, "Ed25519") != 0
        || ngx_http_punit_jwk_octets(jwk, "x", &x) != NGX_OK)
    {
        return NULL;
    }

    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
}


static EVP_PKEY *
ngx_http_punit_jwk_pkey(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY      *pkey;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *ctx;

    pkey = NULL;
    params = OSSL_PARAM_BLD_to_param(bld);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL
        || ctx == NULL
        || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
    {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }

    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);

    return pkey;
}


static ngx_int_t
ngx_http_punit_jwk_octets(json_t *jwk, const char *name,
    ngx_http_punit_jwk_octets_t *octets)
{
    size_t   len;
    json_t  *member;

    member = json_object_get(jwk, name);
    len = json_string_length(member);

    if (len == 0
        || ngx_http_punit_base64url_size(len) > sizeof(octets->data))
    {
        return NGX_DECLINED;
    }

    return ngx_http_punit_base64url_decode(octets->data, &octets->len,
                                  (const u_char *) json_string_value(member),
                                  len);
}
