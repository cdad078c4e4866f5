/* Body: JSON against a route's table of members. */
#ifndef PUNIT_LIB_HTTP_BODY_H
#define PUNIT_LIB_HTTP_BODY_H

#include <jansson.h>

#include "lib/http/problem.h"
#include "lib/http/query.h"
#include "lib/http/type.h"

/* Rows of a table that ends with { 0 }. Example:
 *
 *     static const punit_member_t sample[] = {
 *         { "type_id", PUNIT_UUID, .required = true },
 *         { "at", PUNIT_TIMESTAMP, .required = true },
 *         { "value", PUNIT_NUMBER, .required = true, PUNIT_BOUNDS(-1e9, 1e9) },
 *         { "activity_id", PUNIT_UUID, .nullable = true },
 *         { 0 }
 *     };
 *     static const punit_member_t samples[] = {
 *         { "samples", PUNIT_ARRAY, .required = true, PUNIT_BOUNDS(1, 10000),
 *           .item = &(const punit_member_t){ .type = PUNIT_OBJECT, .members = sample } },
 *         { 0 }
 *     };
 */
typedef struct punit_member punit_member_t;

struct punit_member {
    const char  *name;
    punit_type_t type;
    bool         required; /* in merge mode: may be absent, but not null */
    bool         nullable; /* null allowed (merge mode: always, unless required) */
    bool         bounded;  /* see PUNIT_BOUNDS: of a number's value, of a string's characters,
                                     of an array's items */
    double                min, max;
    const char *const    *values;  /* enumeration of strings, NULL-ended, or NULL */
    punit_type_check_pt   check;   /* strings: a further check */
    const punit_member_t *members; /* objects: their members; NULL = any members */
    const punit_member_t *item;    /* arrays: what each item must be; NULL = anything */
};

/* Bytes a body may have: beyond it 413. */
#define PUNIT_BODY_MAX (1024 * 1024)

/* Parses text as JSON (RFC 8259, strict UTF-8). The problem is
 * punit_problem_malformed when it is not JSON. It is punit_problem_invalid when a member occurs
 * twice, a name holds U+0000, or a number fits neither 64 bits nor a double. RFC 8259, section 6,
 * allows that limit. *json is of the arena and must not change. */
punit_problem_t *punit_body_parse(punit_arena_t *arena, const char *text, size_t len,
                                  json_t **json);

/* Checks json against the table: every fault found (at most 20) is listed in `errors` with its JSON
 * Pointer (RFC 6901), members in no table too. A root that is not an object is a fault unless the
 * table has exactly one row without a name, which then describes the root itself (say an array).
 * merge: RFC 7396. */
punit_problem_t *punit_body_check(punit_arena_t *arena, const json_t *json,
                                  const punit_member_t *members, bool merge);

/* A member of the root as text for a statement's parameter: strings as they are, numbers and
 * booleans as JSON writes them, arrays and objects as JSON, null and absent as NULL. */
const char *punit_body_text(punit_arena_t *arena, const json_t *json, const char *name);

#endif
