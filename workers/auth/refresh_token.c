#include "auth/refresh_token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ENCODED 43


static void
set_user(punit_refresh *token, const char *user)
{
    memcpy(token->user, user, PUNIT_UUID_LENGTH);
    token->user[PUNIT_UUID_LENGTH] = '\0';
}


void
punit_refresh_new(punit_refresh *token, const char *user)
{
    set_user(token, user);
    randombytes_buf(token->secret, sizeof token->secret);
}


void
punit_refresh_next(punit_refresh *token, const punit_refresh *from)
{
    set_user(token, from->user);
    memcpy(token->secret, from->secret, PUNIT_FAMILY);
    randombytes_buf(token->secret + PUNIT_FAMILY, PUNIT_SECRET - PUNIT_FAMILY);
}


bool
punit_refresh_parse(punit_refresh *token, const char *text, size_t len)
{
    size_t      bin = 0;
    const char *end = NULL;

    if (len != PUNIT_REFRESH_TEXT - 1 || !punit_uuid_is_lower(text, PUNIT_UUID_LENGTH)
        || text[PUNIT_UUID_LENGTH] != '.')
    {
        return false;
    }
    const char *secret = text + PUNIT_UUID_LENGTH + 1;
    if (sodium_base642bin(token->secret, sizeof token->secret, secret, ENCODED, NULL, &bin, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING)
            != 0
        || bin != PUNIT_SECRET || end != secret + ENCODED)
    {
        return false;
    }
    set_user(token, text);
    return true;
}


void
punit_refresh_format(const punit_refresh *token, char text[PUNIT_REFRESH_TEXT])
{
    snprintf(text, PUNIT_REFRESH_TEXT, "%s.", token->user);
    sodium_bin2base64(text + PUNIT_UUID_LENGTH + 1, ENCODED + 1, token->secret,
                      sizeof token->secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}


void
punit_refresh_sums(const punit_refresh *token, unsigned char family[PUNIT_SUM],
                   unsigned char whole[PUNIT_SUM])
{
    crypto_hash_sha256(family, token->secret, PUNIT_FAMILY);
    crypto_hash_sha256(whole, token->secret, PUNIT_SECRET);
}
