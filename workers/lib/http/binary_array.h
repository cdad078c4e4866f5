/* Column: what a body of many objects has under one name, as one array for a statement's parameter.
 */
#ifndef PUNIT_LIB_HTTP_BINARY_ARRAY_H
#define PUNIT_LIB_HTTP_BINARY_ARRAY_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/http/type.h"

/* The member `name` of each object of the array `json`, which was checked, as a one-dimensional
 * array in PostgreSQL's binary format (array_send in its arrayfuncs.c): neither side parses or
 * writes the values as text again. type: PUNIT_UUID (uuid[]), PUNIT_TIMESTAMP (timestamptz[], to
 * the microsecond) or PUNIT_NUMBER (float8[]; what is too small for a double is nought). Null and
 * absent are null; NULL when all are. */
const char *punit_binary_array(punit_arena_t *arena, const json_t *json, const char *name,
                               punit_type_t type, int *length);

#endif
