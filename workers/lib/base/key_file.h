/* Key file: how the files of a token's keys are named. A kid is <unit>-<n>.
 * - $PUNIT_PRIVATE/<kid>.ES256.key.pem: a private key of this unit, P-256. Only auth reads it.
 * - $PUNIT_KEYS/<kid>.ES256.pem: the public half, at every unit. */
#ifndef PUNIT_LIB_BASE_KEY_FILE_H
#define PUNIT_LIB_BASE_KEY_FILE_H

#define PUNIT_KEY_FILE_PRIVATE ".ES256.key.pem"
#define PUNIT_KEY_FILE_PUBLIC  ".ES256.pem"

#endif
