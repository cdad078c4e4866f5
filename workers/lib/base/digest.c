#include "lib/base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static EVP_MD        *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;


/* EVP_sha256() would be looked up in OpenSSL's tables, under a lock, at every use. */
static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}


bool
punit_digest_hex(char *hex, size_t n, const void *bytes, size_t len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    pthread_once(&once, fetch);

    if (sha256 == NULL || EVP_Digest(bytes, len, digest, NULL, sha256, NULL) != 1) {
        return false;
    }

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }

    hex[2 * n] = '\0';
    return true;
}
