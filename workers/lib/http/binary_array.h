/* Binary array: one member of all objects in a body, as one array parameter of a statement. */
#ifndef PUNIT_LIB_HTTP_BINARY_ARRAY_H
#define PUNIT_LIB_HTTP_BINARY_ARRAY_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/http/value.h"

/* The member `name` of each object of the array `json`, which was checked. The result is an array
 * in PostgreSQL's binary format (array_send in its arrayfuncs.c), so neither side writes or parses
 * the values as text again. type: PUNIT_UUID (uuid[]), PUNIT_TIMESTAMP (timestamptz[], to the
 * microsecond) or PUNIT_NUMBER (float8[], 0 for what is too small for a double). A null or absent
 * member is null. NULL when all are. */
const char *punit_binary_array(punit_arena_t *arena, const json_t *json, const char *name,
                               punit_value_type_t type, int *length);

#endif
