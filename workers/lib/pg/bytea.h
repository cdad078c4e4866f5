/* Bytea: bytes as the text of a parameter. */
#ifndef PUNIT_LIB_PG_BYTEA_H
#define PUNIT_LIB_PG_BYTEA_H

#include "lib/base/arena.h"

/* "\x" and two hex digits for each byte. */
const char *punit_bytea_text(punit_arena_t *arena, const unsigned char *bytes, size_t n);

#endif
