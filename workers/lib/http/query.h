/* Query string against a route's table of arguments. */
#ifndef PUNIT_LIB_HTTP_QUERY_H
#define PUNIT_LIB_HTTP_QUERY_H

#include "lib/http/problem.h"
#include "lib/http/value.h"

/* Rows of a table that ends with { 0 }. Other arguments are ignored, and only keep an answer out of
 * the grid. An argument that is repeated or not of its type is 400. */
typedef struct {
    const char          *name;
    punit_value_type_t   type; /* a scalar one */
    bool                 required;
    bool                 bounded; /* min..max hold: of the value, or of a string's characters */
    double               min, max;
    const char *const   *values; /* enumeration, NULL-ended, or NULL */
    punit_value_check_pt check;
    const char          *fallback; /* value when absent, NULL = null */
} punit_arg_t;

#define PUNIT_BOUNDS(low, high) .bounded = true, .min = (low), .max = (high)

typedef struct punit_query punit_query_t;

/* Parses `text` ("a=1&b=%20", + is a space, strict UTF-8) and checks it against args (may be NULL).
 */
punit_problem_t *punit_query_parse(punit_arena_t *arena, const char *text, const punit_arg_t *args,
                                   punit_query_t **query);

/* The decoded value of an argument of the table, its fallback, or NULL. */
const char *punit_query_get(const punit_query_t *query, const char *name);

#endif
