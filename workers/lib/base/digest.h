/* Digest: SHA-256 as text. */
#ifndef PUNIT_LIB_BASE_DIGEST_H
#define PUNIT_LIB_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

/* The first n bytes (at most 32) of the SHA-256 of `bytes` as 2 * n digits and a NUL. false without
 * memory. */
bool punit_digest_hex(char *hex, size_t n, const void *bytes, size_t len);

#endif
