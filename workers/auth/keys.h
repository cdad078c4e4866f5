/*
 * Keys.  The unit's own signing keys are $PUNIT_PRIVATE/<unit>-<n>.ES256.key.pem
 * (P-256).  The key with the highest n signs, and the unit's JWKS holds all of
 * them.  The public keys of all units are $PUNIT_KEYS/<kid>.ES256.pem.  Only
 * introspection (RFC 7662) needs them here.
 */

#ifndef PUNIT_AUTH_KEYS_H
#define PUNIT_AUTH_KEYS_H

#include <openssl/types.h>
#include <stddef.h>

#define PUNIT_KID_MAX 64

typedef struct {
    char      kid[PUNIT_KID_MAX];
    EVP_PKEY *pkey;
    char     *pem; /* the private key as libjwt takes it; NULL in a public key */
    size_t    pem_size;
} punit_key;

typedef struct {
    punit_key *keys; /* signing keys: the signing one is the last */
    size_t     n;
    char      *jwks; /* RFC 7517 set of the public halves */
} punit_keys;

/*
 * Loads the unit's signing keys and makes the JWKS.
 * NULL: error holds one line saying which file and what is wrong.
 */
punit_keys *punit_signing_keys_load(const char *dir, const char *unit, char *error, size_t size);

/* Loads the public keys of all units (no JWKS). NULL as above. */
punit_keys *punit_public_keys_load(const char *dir, char *error, size_t size);

/* The key of this id, or NULL. */
const punit_key *punit_keys_find(const punit_keys *keys, const char *kid);

/* The key that signs. */
const punit_key *punit_keys_signing(const punit_keys *keys);

void punit_keys_free(punit_keys *keys);

#endif
