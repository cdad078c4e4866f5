/*
 * Refresh tokens: `<user uuid>.<32 random bytes, base64url>`, so that any unit
 * finds the owner.  The first 16 bytes are drawn once for a session (its
 * family), the last 16 anew at each rotation.  The database holds SHA-256
 * sums of the family part and of the whole: a token whose family is known and
 * which is not the current one is an old one, however old, without any row
 * kept for it; and nobody who has not held a token of the family can make one.
 */

#ifndef PUNIT_AUTH_REFRESH_TOKEN_H
#define PUNIT_AUTH_REFRESH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/uuid.h"

#define PUNIT_SECRET       32
#define PUNIT_FAMILY       16
#define PUNIT_SUM          32 /* SHA-256 */
/* uuid, '.', 43 characters, NUL */
#define PUNIT_REFRESH_TEXT (PUNIT_UUID_LENGTH + 1 + 43 + 1)

typedef struct {
    char          user[PUNIT_UUID_LENGTH + 1];
    unsigned char secret[PUNIT_SECRET];
} punit_refresh;

/* A token of a new family. */
void punit_refresh_new(punit_refresh *token, const char *user);

/* The next token of the same family. */
void punit_refresh_next(punit_refresh *token, const punit_refresh *from);

/* Strict: lower-case uuid, canonical base64url, nothing after it. */
bool punit_refresh_parse(punit_refresh *token, const char *text, size_t len);

void punit_refresh_format(const punit_refresh *token, char text[PUNIT_REFRESH_TEXT]);

/* What the database knows: SHA-256 of the family part, and of the whole. */
void punit_refresh_sums(const punit_refresh *token, unsigned char family[PUNIT_SUM],
                        unsigned char whole[PUNIT_SUM]);

#endif
