/* Cursor: opaque text of a list, the key values after which it goes on, base64url of a JSON array.
 */
#ifndef PUNIT_LIB_HTTP_CURSOR_H
#define PUNIT_LIB_HTTP_CURSOR_H

#include "lib/http/problem.h"
#include "lib/http/value.h"

#define PUNIT_CURSOR_MAX 4

/* `key`: JSON array of scalars, as a statement's column `next` gives it. Gives the cursor's text.
 */
char *punit_cursor_encode(punit_arena_t *arena, const char *key);

/* The values of a cursor, one for each of the types before PUNIT_NONE. 400 when they do not fit.
 */
punit_problem_t *punit_cursor_decode(punit_arena_t *arena, const char *text,
                                     const punit_value_type_t *types,
                                     const char               *values[PUNIT_CURSOR_MAX]);

#endif
