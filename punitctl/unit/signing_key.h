/*
 * ES256 keys that sign a unit's tokens. lib/base/key_file.h says how their files are named.
 */
#ifndef PUNITCTL_UNIT_SIGNING_KEY_H
#define PUNITCTL_UNIT_SIGNING_KEY_H

#include <stdbool.h>

#include "lib/base/key_file.h"
#include "punitctl/unit/file.h"

/* The suffix of a private key that auth does not read yet. */
#define SIGNING_KEY_NEXT PUNIT_KEY_FILE_PRIVATE ".next"

/* Makes a key pair unless its private file is there. */
file_result_t signing_key_make(const char *private_path, const char *public_path);

/* True if the text is one public key in PEM, on P-256. */
bool signing_key_public_valid(const char *pem);

/* The highest n of <unit>-<n><suffix> in a directory; 0: none. */
unsigned long signing_key_last(const char *directory, const char *unit, const char *suffix);

#endif
