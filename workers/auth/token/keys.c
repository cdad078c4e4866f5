#include "auth/token/keys.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/key_file.h"

#define COORDINATE 32 /* bytes of x and y on P-256 */


/* Reads the key and demands P-256, whose use the name ES256 promises. */
static bool
read_pem(token_key_t *key, bool private, const char *path, char *error, size_t size)
{
    char curve[32] = "";

    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        return false;
    }

    /* "": a key with a passphrase is refused, instead of a prompt for it. */
    key->pkey =
        private ? PEM_read_PrivateKey(f, NULL, NULL, "") : PEM_read_PUBKEY(f, NULL, NULL, NULL);
    fclose(f);

    if (key->pkey == NULL || !EVP_PKEY_is_a(key->pkey, "EC")
        || !EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, curve,
                                           sizeof(curve), NULL)
        || strcmp(curve, SN_X9_62_prime256v1) != 0)
    {
        snprintf(error, size, "%s: not a %s key on P-256", path, private ? "private" : "public");
        return false;
    }

    return true;
}


/* libjwt takes PEM only.  The text is written anew, since a file may hold more than the key. */
static bool
write_pem(token_key_t *key, const char *path, char *error, size_t size)
{
    char *text = NULL;
    BIO  *memory = BIO_new(BIO_s_secmem());

    if (memory != NULL && PEM_write_bio_PrivateKey(memory, key->pkey, NULL, NULL, 0, NULL, NULL)) {
        key->pem_size = (size_t) BIO_get_mem_data(memory, &text);
        key->pem = OPENSSL_memdup(text, key->pem_size);
    }

    BIO_free(memory);
    if (key->pem == NULL) {
        snprintf(error, size, "%s: OpenSSL cannot write the key as PEM", path);
    }

    return key->pem != NULL;
}


static bool
coordinate(EVP_PKEY *pkey, const char *name, char *out, size_t size)
{
    unsigned char raw[COORDINATE];
    BIGNUM       *bn = NULL;

    if (!EVP_PKEY_get_bn_param(pkey, name, &bn)) {
        return false;
    }

    bool ok = BN_bn2binpad(bn, raw, sizeof(raw)) == (int) sizeof(raw);
    BN_free(bn);
    if (ok) {
        sodium_bin2base64(out, size, raw, sizeof(raw), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }

    return ok;
}


/* RFC 7518 6.2.1. */
static json_t *
jwk(EVP_PKEY *pkey, const char *kid)
{
    char x[64], y[64];

    if (!coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_X, x, sizeof(x))
        || !coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, y, sizeof(y)))
    {
        return NULL;
    }

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x", x,
                     "y", y, "kid", kid, "alg", "ES256", "use", "sig");
}


/* The n of "<unit>-<n>", which begins at 1. 0 when this is no key id of this unit. */
static unsigned long
serial(const char *kid, const char *unit)
{
    size_t len = strlen(unit);
    char  *end;

    if (strncmp(kid, unit, len) != 0 || kid[len] != '-' || kid[len + 1] < '1' || kid[len + 1] > '9')
    {
        return 0;
    }

    unsigned long n = strtoul(kid + len + 1, &end, 10);
    return *end == '\0' ? n : 0;
}


static token_key_t *
append(token_keys_t *keys, const char *kid, size_t len)
{
    token_key_t *grown = realloc(keys->keys, (keys->n + 1) * sizeof(*grown));
    if (grown == NULL) {
        return NULL;
    }

    keys->keys = grown;
    token_key_t *key = &grown[keys->n++];
    memset(key, 0, sizeof(*key));
    memcpy(key->kid, kid, len);
    return key;
}


/* Reads the directory's private or public keys. */
static bool
read_dir(token_keys_t *keys, const char *dir, bool private, char *error, size_t size)
{
    const char    *suffix = private ? PUNIT_KEY_FILE_PRIVATE : PUNIT_KEY_FILE_PUBLIC;
    struct dirent *entry;

    DIR *d = opendir(dir);
    if (d == NULL) {
        snprintf(error, size, "%s: %s", dir, strerror(errno));
        return false;
    }
    while ((entry = readdir(d)) != NULL) {
        char   path[4096];
        size_t len = strlen(entry->d_name), tail = strlen(suffix);

        if (len <= tail || len - tail >= KEYS_KID_MAX
            || strcmp(entry->d_name + len - tail, suffix) != 0) {
            continue;
        }

        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        token_key_t *key = append(keys, entry->d_name, len - tail);
        if (key == NULL || !read_pem(key, private, path, error, size)
            || (private && !write_pem(key, path, error, size)))
        {
            closedir(d);
            return false;
        }
    }

    closedir(d);
    return true;
}


static bool
make_jwks(token_keys_t *keys)
{
    json_t *list = json_array();

    for (size_t i = 0; i < keys->n; i++) {
        json_array_append_new(list, jwk(keys->keys[i].pkey, keys->keys[i].kid));
    }

    bool    whole = json_array_size(list) == keys->n;
    json_t *set = json_pack("{s:o}", "keys", list);
    keys->jwks = whole && set != NULL ? json_dumps(set, JSON_COMPACT) : NULL;
    json_decref(set);
    return keys->jwks != NULL;
}


token_keys_t *
keys_load_signing(const char *dir, const char *unit, char *error, size_t size)
{
    token_keys_t *keys = calloc(1, sizeof(*keys));

    if (keys == NULL || !read_dir(keys, dir, true, error, size)) {
        keys_free(keys);
        return NULL;
    }

    for (size_t i = 0; i < keys->n; i++) {
        if (serial(keys->keys[i].kid, unit) == 0) {
            snprintf(error, size, "%s/%s" PUNIT_KEY_FILE_PRIVATE ": not named %s-<number>", dir,
                     keys->keys[i].kid, unit);
            keys_free(keys);
            return NULL;
        }
    }

    if (keys->n == 0) {
        snprintf(error, size, "%s: holds no %s-<number>" PUNIT_KEY_FILE_PRIVATE, dir, unit);
        keys_free(keys);
        return NULL;
    }

    /* Insertion sort by serial, for a handful of keys. */
    for (size_t i = 1; i < keys->n; i++) {
        for (size_t j = i;
             j > 0 && serial(keys->keys[j - 1].kid, unit) > serial(keys->keys[j].kid, unit); j--)
        {
            token_key_t t = keys->keys[j];
            keys->keys[j] = keys->keys[j - 1];
            keys->keys[j - 1] = t;
        }
    }

    if (!make_jwks(keys)) {
        snprintf(error, size, "%s: a key without public half", dir);
        keys_free(keys);
        return NULL;
    }

    return keys;
}


token_keys_t *
keys_load_public(const char *dir, char *error, size_t size)
{
    token_keys_t *keys = calloc(1, sizeof(*keys));

    if (keys == NULL || !read_dir(keys, dir, false, error, size)) {
        keys_free(keys);
        return NULL;
    }

    return keys;
}


const token_key_t *
keys_find(const token_keys_t *keys, const char *kid)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (strcmp(keys->keys[i].kid, kid) == 0) {
            return &keys->keys[i];
        }
    }

    return NULL;
}


const token_key_t *
keys_signing(const token_keys_t *keys)
{
    return &keys->keys[keys->n - 1];
}


void
keys_free(token_keys_t *keys)
{
    if (keys == NULL) {
        return;
    }

    for (size_t i = 0; i < keys->n; i++) {
        EVP_PKEY_free(keys->keys[i].pkey);
        OPENSSL_clear_free(keys->keys[i].pem, keys->keys[i].pem_size);
    }

    free(keys->keys);
    free(keys->jwks);
    free(keys);
}
