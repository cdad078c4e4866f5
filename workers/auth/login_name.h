/*
 * The login name: an e-mail address, known to the system only by its
 * HMAC-SHA256 under the pepper, a key that all units share.  A stolen
 * directory thus tells no address, not even by trying likely ones.
 */

#ifndef PUNIT_AUTH_LOGIN_NAME_H
#define PUNIT_AUTH_LOGIN_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define PUNIT_EMAIL_MAX 254 /* bytes: RFC 5321 4.5.3.1.3 less "<>" */
#define PUNIT_NAME_HASH 32

typedef struct {
    unsigned char key[32];
} punit_pepper;

/* Reads 64 hex digits (white space around them allowed) from a file.
 * 0, or -1 and errno (EINVAL: not 64 hex digits). */
int punit_pepper_load(punit_pepper *pepper, const char *file);

/*
 * Checks an address (RFC 5321 4.1.2, dot-atom local parts and domain names,
 * ASCII) and writes its lower-case form.  Local parts are case sensitive by
 * the letter of the RFC and by no server that people use.
 * NULL when good, otherwise a phrase for the client saying what is wrong.
 */
const char *punit_email_normalise(const char *email, size_t len, char out[PUNIT_EMAIL_MAX + 1]);

/* The keyed hash of a normalised address. */
void punit_name_hash(const punit_pepper *pepper, const char *email,
                     unsigned char hash[PUNIT_NAME_HASH]);

#endif
