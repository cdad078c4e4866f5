/* Answer: what a route gives back, and the header lines of CGI that are made of it. */
#ifndef PUNIT_LIB_HTTP_ANSWER_H
#define PUNIT_LIB_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/http/problem.h"

typedef struct {
    int         status; /* 0 = 200 */
    const char *type;   /* Content-Type, default application/json */
    const char *body;   /* NULL = none */
    size_t      length; /* of body; 0 with a body = strlen */
    const char *etag;   /* with its quotes; NULL: the library makes one for a GET's 200 */
    const char *location;
    const char *owner_unit; /* Punit-Owner: <unit>; epoch=<n> */
    long long   owner_epoch;
    const char *author; /* Punit-Author, with 421 */
    long        stale;  /* Punit-Stale in seconds, if is_stale */
    bool        is_stale;
    const char *allow;    /* methods, 405 and OPTIONS */
    bool        no_store; /* Cache-Control: no-store (answers with tokens) */
    long        max_age;  /* in seconds; Cache-Control: public, max-age (not with no_store) */
} punit_answer_t;

/* Strong entity tag of a body: the first 16 bytes of its SHA-256 as hex, quoted (RFC 9110
 * section 8.8.3). NULL without memory. */
const char *punit_answer_etag(punit_arena_t *arena, const char *body, size_t len);

/* Whether If-None-Match's list names etag, compared weakly (RFC 9110 section 13.1.2). */
bool punit_answer_etag_matches(const char *list, const char *etag);

/* Turns an answer into that of a problem. What it says of the owner stays. */
void punit_answer_problem(punit_arena_t *arena, punit_answer_t *a, const punit_problem_t *problem);

/* Status and header lines of CGI, with the empty line. `problem` may be NULL. */
const char *punit_answer_head(punit_arena_t *arena, const punit_answer_t *a,
                              const punit_problem_t *problem);

#endif
