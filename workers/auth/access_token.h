/*
 * Access tokens: JWT (RFC 7519) by the profile of RFC 9068, `typ: at+jwt`,
 * ES256.
 */

#ifndef PUNIT_AUTH_ACCESS_TOKEN_H
#define PUNIT_AUTH_ACCESS_TOKEN_H

#include "auth/keys.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define PUNIT_ACCESS_LIFE (15 * 60) /* seconds */

/* What a token says; the strings are the caller's. */
typedef struct {
    const char *user;  /* sub: uuid */
    const char *jti;   /* uuid */
    const char *sid;   /* uuid of the session */
    const char *roles; /* space between; becomes an array */
    time_t      iat;
    time_t      exp;
    uint64_t    epoch;
    uint64_t    gen;
} punit_claims;

typedef struct {
    const char       *issuer;
    const char       *audience;
    const char       *unit; /* equals the unit in the key's id */
    const punit_keys *keys;
} punit_issuer;

/* The signed token (free() it), or NULL: no memory, or the key is no good. */
char *punit_access_token(const punit_issuer *issuer, const punit_claims *claims);

/*
 * Checks a token of any unit against the public keys of all: for RFC 7662
 * only, NGINX checks its requests itself.  The key's file name pins the
 * algorithm (ES256), base64url is strict, members are unique, `exp` required;
 * issuer and audience must be ours and the unit in the key's id the claim's.
 * *claims: the payload (json_decref() it).  false: not to be accepted at `now`.
 */
bool punit_access_token_check(const punit_issuer *issuer, const punit_keys *public,
                              const char *token, time_t now, json_t **claims);

#endif
