/* E-mail: the address a user logs in with. */
#ifndef PUNIT_LIB_BASE_EMAIL_H
#define PUNIT_LIB_BASE_EMAIL_H

#include <stddef.h>

#define PUNIT_EMAIL_MAX 254 /* bytes: RFC 5321 4.5.3.1.3 less "<>" */

/* Checks an address and writes its lower-case form. It must be ASCII, with a dot-atom local part
 * and a domain name (RFC 5321 4.1.2). RFC 5321 makes local parts case sensitive, but no server in
 * use does. NULL when the address is good, otherwise a phrase for the client that says what is
 * wrong. */
const char *punit_email_normalise(const char *email, size_t len, char out[PUNIT_EMAIL_MAX + 1]);

#endif
