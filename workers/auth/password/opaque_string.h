/* Opaque string: the one form of a password, whatever keyboard it comes from (RFC 8265 4.2). */
#ifndef PUNIT_AUTH_PASSWORD_OPAQUE_STRING_H
#define PUNIT_AUTH_PASSWORD_OPAQUE_STRING_H

#include "lib/base/arena.h"

/* The text, which is UTF-8, with each space of Unicode as U+0020 and in NFC. Lives as long as the
 * arena. NULL without memory. */
const char *opaque_string(punit_arena_t *arena, const char *text);

#endif
