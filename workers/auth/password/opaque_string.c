#include "auth/password/opaque_string.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>


static void
wipe(void *text)
{
    sodium_memzero(text, strlen(text));
    free(text);
}


/* Replaces spaces in place. None of them is shorter than U+0020. The new length. */
static size_t
map_spaces(uint8_t *text, size_t len)
{
    size_t out = 0;

    for (size_t i = 0; i < len;) {
        ucs4_t c;
        int    n = u8_mbtouc(&c, text + i, len - i);

        if (c != ' ' && uc_is_general_category(c, UC_SPACE_SEPARATOR)) {
            text[out++] = ' ';
        } else {
            memmove(text + out, text + i, (size_t) n);
            out += (size_t) n;
        }

        i += (size_t) n;
    }

    return out;
}


const char *
opaque_string(punit_arena_t *arena, const char *text)
{
    size_t   len = strlen(text);
    uint8_t *mapped = (uint8_t *) punit_arena_copy(arena, text);
    size_t   size = 0;
    uint8_t *nfc = u8_normalize(UNINORM_NFC, mapped, map_spaces(mapped, len), NULL, &size);

    sodium_memzero(mapped, len);

    uint8_t *whole = nfc != NULL ? realloc(nfc, size + 1) : NULL;

    if (whole == NULL) {
        free(nfc);
        return NULL;
    }

    whole[size] = '\0';
    punit_arena_own(arena, wipe, whole);
    return (const char *) whole;
}
