/*
 * ES256 keys that sign a unit's tokens. Only auth reads private/<kid>.ES256.key.pem. Every unit has
 * the public half, keys/<kid>.ES256.pem. A kid is <unit>-<n>.
 */
#ifndef PUNITCTL_UNIT_SIGNING_KEY_H
#define PUNITCTL_UNIT_SIGNING_KEY_H

#include <stdbool.h>

#include "punitctl/unit/file.h"

/* Makes a key pair unless its private file is there. */
file_result_t signing_key_make(const char *private_path, const char *public_path);

/* True if the text is one public key in PEM, on P-256. */
bool signing_key_public_valid(const char *pem);

/* The highest n of <unit>-<n><suffix> in a directory; 0: none. */
unsigned long signing_key_last(const char *directory, const char *unit, const char *suffix);

#endif
