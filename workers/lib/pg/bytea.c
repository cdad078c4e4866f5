#include "lib/pg/bytea.h"

#include <sodium.h>
#include <string.h>


const char *
punit_bytea_text(punit_arena_t *arena, const unsigned char *bytes, size_t n)
{
    char *text = punit_arena_alloc(arena, 2 + 2 * n + 1);

    memcpy(text, "\\x", 2);
    sodium_bin2hex(text + 2, 2 * n + 1, bytes, n);
    return text;
}
