/* Refresh token: `<user uuid>.<32 random bytes, base64url>`. The uuid lets any unit find the owner.
 *
 * The first 16 bytes are drawn once for a session and name its family. The last 16 are drawn anew
 * at each rotation. The database holds SHA-256 sums of the family part and of the whole. A token of
 * a known family that is not the current one is therefore an old one. No row has to be kept for old
 * tokens, and only a holder of a token of the family can make one. */
#ifndef PUNIT_AUTH_TOKEN_REFRESH_TOKEN_H
#define PUNIT_AUTH_TOKEN_REFRESH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/uuid.h"

#define REFRESH_TOKEN_SECRET 32
#define REFRESH_TOKEN_FAMILY 16
#define REFRESH_TOKEN_SUM    32 /* SHA-256 */
/* Of the text: uuid, '.', 43 characters, NUL. */
#define REFRESH_TOKEN_SIZE   (PUNIT_UUID_LENGTH + 1 + 43 + 1)

typedef struct {
    char          user[PUNIT_UUID_LENGTH + 1];
    unsigned char secret[REFRESH_TOKEN_SECRET];
} refresh_token_t;

/* A token of a new family. */
void refresh_token_new(refresh_token_t *token, const char *user);

/* The next token of the same family. */
void refresh_token_next(refresh_token_t *token, const refresh_token_t *from);

/* Accepts a lower-case uuid, canonical base64url and nothing after it. */
bool refresh_token_parse(refresh_token_t *token, const char *text, size_t len);

void refresh_token_format(const refresh_token_t *token, char text[REFRESH_TOKEN_SIZE]);

/* SHA-256 of the family part and of the whole, for the database. */
void refresh_token_sums(const refresh_token_t *token, unsigned char family[REFRESH_TOKEN_SUM],
                        unsigned char whole[REFRESH_TOKEN_SUM]);

#endif
