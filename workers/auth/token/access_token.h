/* Access token: a JWT (RFC 7519) by the profile of RFC 9068, signed with ES256. libjwt issues it.
 * Its `typ` is at+jwt, or JWT where libjwt is older than 1.12, which overwrites it. */
#ifndef PUNIT_AUTH_TOKEN_ACCESS_TOKEN_H
#define PUNIT_AUTH_TOKEN_ACCESS_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "auth/token/keys.h"

#define ACCESS_TOKEN_LIFE (15 * 60) /* seconds */

/* The claims of a token about one user. The strings are the caller's. */
typedef struct {
    const char *user;  /* sub: uuid */
    const char *jti;   /* uuid */
    const char *sid;   /* uuid of the session */
    const char *roles; /* with spaces between; the claim is an array */
    time_t      iat;
    time_t      exp;
    uint64_t    epoch;
    uint64_t    gen;
} access_claims_t;

typedef struct {
    const char         *issuer;
    const char         *audience;
    const char         *unit; /* equals the unit in the key's id */
    const token_keys_t *keys;
} access_issuer_t;

/* The signed token, which the caller frees. NULL: no memory, or the key cannot sign. */
char *access_token_issue(const access_issuer_t *issuer, const access_claims_t *claims);

/* Checks a token of any unit against the public keys of all units. Only RFC 7662 needs it, since
 * NGINX checks the tokens of its requests itself. The key's file name pins the algorithm (ES256).
 * base64url is strict, members are unique, and `exp` is required. Issuer and audience must be this
 * system's, and the unit in the key's id must be the claim's. *claims: the payload, which the
 * caller gives to json_decref(). False when the token is not acceptable at `now`. */
bool access_token_check(const access_issuer_t *issuer, const token_keys_t *public,
                        const char *token, time_t now, json_t **claims);

#endif
