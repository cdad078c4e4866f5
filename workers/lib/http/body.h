/* Body: from the text of a body to JSON, and from a member of it to text. */
#ifndef PUNIT_LIB_HTTP_BODY_H
#define PUNIT_LIB_HTTP_BODY_H

#include <jansson.h>

#include "lib/http/problem.h"

/* Bytes a body may have where a route does not say more: beyond it 413. No route says more than
 * PUNIT_BODY_MOST, and NGINX reads as much. */
#define PUNIT_BODY_MAX  (1024 * 1024)
#define PUNIT_BODY_MOST (2 * 1024 * 1024)

/* Parses text as JSON (RFC 8259, strict UTF-8). The problem is
 * punit_problem_malformed when it is not JSON. It is punit_problem_invalid when a member occurs
 * twice, a name holds U+0000, or a number fits neither 64 bits nor a double. RFC 8259, section 6,
 * allows that limit. *json is of the arena and must not change. */
punit_problem_t *punit_body_parse(punit_arena_t *arena, const char *text, size_t len,
                                  json_t **json);

/* A member of the root as text for a statement's parameter: strings as they are, numbers and
 * booleans as JSON writes them, arrays and objects as JSON, null and absent as NULL. */
const char *punit_body_text(punit_arena_t *arena, const json_t *json, const char *name);

#endif
