/*
 * Signed with OpenSSL: libjwt 1.10.2 writes `typ: JWT` over whatever typ it is
 * given, and reads the PEM anew for each token.
 */

#include "auth/access_token.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE 32
#define DER_MAX    80


static json_t *
role_array(const char *roles)
{
    json_t *list = json_array();

    while (*roles != '\0') {
        size_t len = strcspn(roles, " ");
        if (len > 0) {
            json_array_append_new(list, json_stringn(roles, len));
        }
        roles += len + strspn(roles + len, " ");
    }
    return list;
}


/* base64url of the object's compact form; takes the object over */
static char *
encode(json_t *object)
{
    char *json = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (json == NULL) {
        return NULL;
    }
    size_t len = strlen(json);
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char  *text = malloc(size);
    if (text != NULL) {
        sodium_bin2base64(text, size, (unsigned char *) json, len,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
    free(json);
    return text;
}


/* RFC 7518 3.4: ECDSA with SHA-256, R and S side by side */
static bool
sign(EVP_PKEY *pkey, const char *text, unsigned char raw[2 * COORDINATE])
{
    unsigned char        der[DER_MAX];
    const unsigned char *p = der;
    size_t               len = sizeof der;
    ECDSA_SIG           *sig = NULL;

    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1
        && EVP_DigestSign(ctx, der, &len, (const unsigned char *) text, strlen(text)) == 1)
    {
        sig = d2i_ECDSA_SIG(NULL, &p, (long) len);
    }
    EVP_MD_CTX_free(ctx);

    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE) == COORDINATE
              && BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE) == COORDINATE;
    ECDSA_SIG_free(sig);
    return ok;
}


char *
punit_access_token(const punit_issuer *issuer, const punit_claims *c)
{
    const punit_key *key = punit_keys_signing(issuer->keys);
    unsigned char    raw[2 * COORDINATE];
    char             signature[2 * sizeof raw];
    char            *signed_part = NULL, *token = NULL;

    char *header =
        encode(json_pack("{s:s, s:s, s:s}", "alg", "ES256", "typ", "at+jwt", "kid", key->kid));
    char *claims =
        encode(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I,"
                         " s:s, s:I, s:I, s:s, s:o}",
                         "iss", issuer->issuer, "aud", issuer->audience, "sub", c->user, "jti",
                         c->jti, "iat", (json_int_t) c->iat, "exp", (json_int_t) c->exp, "unit",
                         issuer->unit, "epoch", (json_int_t) c->epoch, "gen", (json_int_t) c->gen,
                         "sid", c->sid, "roles", role_array(c->roles)));

    if (header != NULL && claims != NULL && asprintf(&signed_part, "%s.%s", header, claims) > 0
        && sign(key->pkey, signed_part, raw))
    {
        sodium_bin2base64(signature, sizeof signature, raw, sizeof raw,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        if (asprintf(&token, "%s.%s", signed_part, signature) < 0) {
            token = NULL;
        }
    }
    free(signed_part);
    free(claims);
    free(header);
    return token;
}
