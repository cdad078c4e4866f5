#include "lib/base/pepper.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>


int
punit_pepper_load(punit_pepper_t *pepper, const char *file)
{
    char   text[256];
    size_t n, bin = 0;
    FILE  *f = fopen(file, "re");

    if (f == NULL) {
        return -1;
    }

    n = fread(text, 1, sizeof(text) - 1, f);

    int failed = ferror(f);

    fclose(f);
    text[n] = '\0';

    if (failed) {
        errno = EIO;
        return -1;
    }

    int rc = sodium_hex2bin(pepper->key, sizeof(pepper->key), text, n, " \t\r\n", &bin, NULL);
    sodium_memzero(text, sizeof(text));

    if (rc != 0 || bin != sizeof(pepper->key)) {
        errno = EINVAL;
        return -1;
    }

    return 0;
}


void
punit_pepper_hash(const punit_pepper_t *pepper, const char *email,
                  unsigned char hash[PUNIT_PEPPER_HASH])
{
    crypto_auth_hmacsha256(hash, (const unsigned char *) email, strlen(email), pepper->key);
}
