/* Keys of tokens (lib/base/key_file.h). Of the unit's own signing keys the one with the highest n
 * signs, and the unit's JWKS holds all of them. Only introspection (RFC 7662) needs the public keys
 * of all units here. */
#ifndef PUNIT_AUTH_TOKEN_KEYS_H
#define PUNIT_AUTH_TOKEN_KEYS_H

#include <openssl/types.h>
#include <stddef.h>

#define KEYS_KID_MAX 64

typedef struct {
    char      kid[KEYS_KID_MAX];
    EVP_PKEY *pkey;
    char     *pem; /* the private key as libjwt takes it; NULL in a public key */
    size_t    pem_size;
} token_key_t;

typedef struct {
    token_key_t *keys; /* signing keys: the signing one is the last */
    size_t       n;
    char        *jwks; /* RFC 7517 set of the public halves */
} token_keys_t;

/* Loads the unit's signing keys and makes the JWKS. NULL on failure: then `error` holds one line
 * with the file and what is wrong. */
token_keys_t *keys_load_signing(const char *dir, const char *unit, char *error, size_t size);

/* Loads the public keys of all units (no JWKS). NULL as above. */
token_keys_t *keys_load_public(const char *dir, char *error, size_t size);

/* The key of this id, or NULL. */
const token_key_t *keys_find(const token_keys_t *keys, const char *kid);

/* The key that signs. */
const token_key_t *keys_signing(const token_keys_t *keys);

void keys_free(token_keys_t *keys);

#endif
