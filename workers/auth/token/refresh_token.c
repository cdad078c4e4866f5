#include "auth/token/refresh_token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ENCODED 43


static void
set_user(refresh_token_t *token, const char *user)
{
    memcpy(token->user, user, PUNIT_UUID_LENGTH);
    token->user[PUNIT_UUID_LENGTH] = '\0';
}


void
refresh_token_new(refresh_token_t *token, const char *user)
{
    set_user(token, user);
    randombytes_buf(token->secret, sizeof(token->secret));
}


void
refresh_token_next(refresh_token_t *token, const refresh_token_t *from)
{
    set_user(token, from->user);
    memcpy(token->secret, from->secret, REFRESH_TOKEN_FAMILY);
    randombytes_buf(token->secret + REFRESH_TOKEN_FAMILY,
                    REFRESH_TOKEN_SECRET - REFRESH_TOKEN_FAMILY);
}


bool
refresh_token_parse(refresh_token_t *token, const char *text, size_t len)
{
    size_t      bin = 0;
    const char *end = NULL;

    if (len != REFRESH_TOKEN_SIZE - 1 || !punit_uuid_is_lower(text, PUNIT_UUID_LENGTH)
        || text[PUNIT_UUID_LENGTH] != '.')
    {
        return false;
    }

    const char *secret = text + PUNIT_UUID_LENGTH + 1;
    if (sodium_base642bin(token->secret, sizeof(token->secret), secret, ENCODED, NULL, &bin, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING)
            != 0
        || bin != REFRESH_TOKEN_SECRET || end != secret + ENCODED)
    {
        return false;
    }

    set_user(token, text);
    return true;
}


void
refresh_token_format(const refresh_token_t *token, char text[REFRESH_TOKEN_SIZE])
{
    snprintf(text, REFRESH_TOKEN_SIZE, "%s.", token->user);
    sodium_bin2base64(text + PUNIT_UUID_LENGTH + 1, ENCODED + 1, token->secret,
                      sizeof(token->secret), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}


void
refresh_token_sums(const refresh_token_t *token, unsigned char family[REFRESH_TOKEN_SUM],
                   unsigned char whole[REFRESH_TOKEN_SUM])
{
    crypto_hash_sha256(family, token->secret, REFRESH_TOKEN_FAMILY);
    crypto_hash_sha256(whole, token->secret, REFRESH_TOKEN_SECRET);
}
