#include "auth/token/access_token.h"

#include <jwt.h>
#include <stdlib.h>
#include <string.h>


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


/* The claims as a JSON text: libjwt takes a list, and an integer of 64 bits, in no other way. */
static char *
payload(const access_issuer_t *issuer, const access_claims_t *c)
{
    json_t *claims =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I,"
                  " s:s, s:I, s:I, s:s, s:o}",
                  "iss", issuer->issuer, "aud", issuer->audience, "sub", c->user, "jti", c->jti,
                  "iat", (json_int_t) c->iat, "exp", (json_int_t) c->exp, "unit", issuer->unit,
                  "epoch", (json_int_t) c->epoch, "gen", (json_int_t) c->gen, "sid", c->sid,
                  "roles", role_array(c->roles));
    char *text = claims == NULL ? NULL : json_dumps(claims, JSON_COMPACT);

    json_decref(claims);
    return text;
}


char *
access_token_issue(const access_issuer_t *issuer, const access_claims_t *claims)
{
    const token_key_t *key = keys_signing(issuer->keys);
    char              *text = payload(issuer, claims);
    char              *token = NULL;
    jwt_t             *jwt = NULL;

    if (text != NULL && jwt_new(&jwt) == 0
        && jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *) key->pem, (int) key->pem_size)
               == 0
        && jwt_add_header(jwt, "typ", "at+jwt") == 0 && jwt_add_header(jwt, "kid", key->kid) == 0
        && jwt_add_grants_json(jwt, text) == 0)
    {
        token = jwt_encode_str(jwt);
    }

    jwt_free(jwt);
    free(text);
    return token;
}
