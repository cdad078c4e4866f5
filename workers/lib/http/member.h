/* Member: the table of a body's members that a route has, and the walk that holds a JSON value
 * against it. */
#ifndef PUNIT_LIB_HTTP_MEMBER_H
#define PUNIT_LIB_HTTP_MEMBER_H

#include <jansson.h>

#include "lib/http/problem.h"
#include "lib/http/query.h"
#include "lib/http/value.h"

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
    const char        *name;
    punit_value_type_t type;
    bool               required; /* in merge mode: may be absent, but not null */
    bool               nullable; /* null allowed (merge mode: always, unless required) */
    bool               bounded;  /* see PUNIT_BOUNDS: of a number's value, of a string's characters,
                                           of an array's items */
    double                min, max;
    const char *const    *values;  /* enumeration of strings, NULL-ended, or NULL */
    punit_value_check_pt  check;   /* strings: a further check */
    const punit_member_t *members; /* objects: their members; NULL = any members */
    const punit_member_t *item;    /* arrays: what each item must be; NULL = anything */
};

/* Checks json against the table: every fault found (at most 20) is listed in `errors` with its JSON
 * Pointer (RFC 6901), members in no table too. A root that is not an object is a fault unless the
 * table has exactly one row without a name, which then describes the root itself (say an array).
 * merge: RFC 7396. */
punit_problem_t *punit_member_check(punit_arena_t *arena, const json_t *json,
                                    const punit_member_t *members, bool merge);

/* A problem with one fault, of the body as a whole. */
punit_problem_t *punit_member_fault(punit_arena_t *arena, const char *detail);

#endif
