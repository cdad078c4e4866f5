/* libjwt issues tokens but does not check them: 1.10.2 refuses every typ but JWT, takes the
 * algorithm from the token, and ignores exp. */

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "auth/token/access_token.h"

#define TOKEN_MAX 8192
#define SIGNATURE 64 /* RFC 7518 3.4: R and S of 32 bytes */
#define DER_MAX   80


static bool
decode(const char *text, size_t len, unsigned char *out, size_t max, size_t *n)
{
    const char *end = NULL;

    return sodium_base642bin(out, max, text, len, NULL, n, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING)
               == 0
           && end == text + len;
}


static json_t *
decode_object(const char *text, size_t len)
{
    unsigned char bin[TOKEN_MAX];
    size_t        n;

    if (len > TOKEN_MAX || !decode(text, len, bin, sizeof(bin), &n)) {
        return NULL;
    }

    json_t *object = json_loadb((char *) bin, n, JSON_REJECT_DUPLICATES, NULL);
    if (object != NULL && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }

    return object;
}


/* The member's text, "" if it is missing or no string. */
static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}


/* OpenSSL verifies DER, and a JWS has R and S side by side. */
static bool
signature_is_good(EVP_PKEY *pkey, const char *signed_part, size_t len,
                  const unsigned char raw[SIGNATURE])
{
    unsigned char der[DER_MAX], *p = der;
    BIGNUM       *r = BN_bin2bn(raw, SIGNATURE / 2, NULL);
    BIGNUM       *s = BN_bin2bn(raw + SIGNATURE / 2, SIGNATURE / 2, NULL);
    ECDSA_SIG    *sig = ECDSA_SIG_new();

    if (sig == NULL || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return false;
    }

    int size = i2d_ECDSA_SIG(sig, &p);
    ECDSA_SIG_free(sig);

    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        good =
        ctx != NULL && size > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1
        && EVP_DigestVerify(ctx, der, (size_t) size, (const unsigned char *) signed_part, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}


/* libjwt before 1.12 writes JWT over the type of RFC 9068. */
static bool
type_is_good(const char *typ)
{
    return strcasecmp(typ, "at+jwt") == 0 || strcasecmp(typ, "JWT") == 0;
}


/* NULL: an unknown key, another type of token, or a critical extension (RFC 7515 4.1.11). */
static const token_key_t *
key_of(const token_keys_t *public, const json_t *header)
{
    if (strcmp(text_of(header, "alg"), "ES256") != 0 || !type_is_good(text_of(header, "typ"))
        || json_object_get(header, "crit") != NULL)
    {
        return NULL;
    }

    return keys_find(public, text_of(header, "kid"));
}


/* aud is a string or a list of strings (RFC 7519 4.1.3). */
static bool
is_for(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud");

    if (json_is_string(aud)) {
        return strcmp(json_string_value(aud), audience) == 0;
    }

    for (size_t i = 0; i < json_array_size(aud); i++) {
        const char *one = json_string_value(json_array_get(aud, i));
        if (one != NULL && strcmp(one, audience) == 0) {
            return true;
        }
    }

    return false;
}


static bool
claims_are_good(const access_issuer_t *issuer, const token_key_t *key, const json_t *claims,
                time_t now)
{
    const json_t *exp = json_object_get(claims, "exp");
    const json_t *nbf = json_object_get(claims, "nbf");
    const char   *unit = text_of(claims, "unit");
    size_t        len = strlen(unit);

    return json_is_integer(exp) && json_integer_value(exp) > now
           && (nbf == NULL || (json_is_integer(nbf) && json_integer_value(nbf) <= now))
           && strcmp(text_of(claims, "iss"), issuer->issuer) == 0
           && is_for(claims, issuer->audience)
           /* kid is <unit>-<n>, and n has no hyphen */
           && len > 0 && strncmp(key->kid, unit, len) == 0 && key->kid[len] == '-'
           && strchr(key->kid + len + 1, '-') == NULL;
}


bool
access_token_check(const access_issuer_t *issuer, const token_keys_t *public, const char *token,
                   time_t now, json_t **claims)
{
    unsigned char raw[SIGNATURE];
    size_t        n;

    const char *dot = strchr(token, '.');
    const char *last = strrchr(token, '.');
    if (dot == NULL || last == dot || strlen(token) > TOKEN_MAX
        || !decode(last + 1, strlen(last + 1), raw, sizeof(raw), &n) || n != SIGNATURE)
    {
        return false;
    }

    json_t            *header = decode_object(token, (size_t) (dot - token));
    const token_key_t *key = header == NULL ? NULL : key_of(public, header);
    json_decref(header);
    if (key == NULL || !signature_is_good(key->pkey, token, (size_t) (last - token), raw)) {
        return false;
    }

    *claims = decode_object(dot + 1, (size_t) (last - dot - 1));
    if (*claims != NULL && !claims_are_good(issuer, key, *claims, now)) {
        json_decref(*claims);
        *claims = NULL;
    }

    return *claims != NULL;
}
