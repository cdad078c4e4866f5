/* Problem: the one error type of the services. It becomes application/problem+json (RFC 9457). */
#ifndef PUNIT_LIB_HTTP_PROBLEM_H
#define PUNIT_LIB_HTTP_PROBLEM_H

#include "lib/base/arena.h"

/* What kind of error: `type` of the answer is urn:punit:<name>. A service's own kinds are static
 * const objects of this type beside its routes. */
typedef struct {
    int         status;
    const char *name;
    const char *title;
} punit_kind_t;

/* A function that may fail gives a punit_problem_t *, NULL = no problem. */
typedef struct {
    const punit_kind_t *kind;
    int                 status;       /* the kind's, or 502: see sql.c */
    const char         *detail;       /* for the client: no path, no SQL, no stack; may be NULL */
    const char         *errors;       /* JSON array of {"pointer","detail"}, or NULL */
    const char         *failing;      /* JSON array of names of what fails (health), or NULL */
    int                 retry_after;  /* seconds, 0 = no header */
    const char         *authenticate; /* after `Bearer `: 401, 403 (RFC 6750) */
} punit_problem_t;

extern const punit_kind_t punit_problem_malformed;      /* 400 body is not JSON */
extern const punit_kind_t punit_problem_invalid_query;  /* 400 */
extern const punit_kind_t punit_problem_invalid_header; /* 400 */
extern const punit_kind_t punit_problem_unauthorized;   /* 401 no user */
extern const punit_kind_t
    punit_problem_unknown_user; /* 401 no unit knows the user, or the user is erased */
extern const punit_kind_t punit_problem_forbidden;          /* 403 */
extern const punit_kind_t punit_problem_not_found;          /* 404 */
extern const punit_kind_t punit_problem_method_not_allowed; /* 405 */
extern const punit_kind_t punit_problem_conflict;           /* 409 */
extern const punit_kind_t punit_problem_too_large;          /* 413 */
extern const punit_kind_t punit_problem_unsupported_type;   /* 415 */
extern const punit_kind_t punit_problem_invalid;            /* 422 against its schema */
extern const punit_kind_t punit_problem_key_reused;    /* 422 same Idempotency-Key, other body */
extern const punit_kind_t punit_problem_too_many;      /* 429 */
extern const punit_kind_t punit_problem_internal;      /* 500 */
extern const punit_kind_t punit_problem_try_later;     /* 503 */
extern const punit_kind_t punit_problem_database_down; /* 503 */
extern const punit_kind_t
    punit_problem_unknown_outcome; /* 503 the commit's answer was lost: repeat with the same key */
extern const punit_kind_t punit_problem_moving; /* 503 the user is just moving */

/* A problem of that kind. `detail` is a printf format or NULL. 503 and 429 get Retry-After: 1. */
punit_problem_t *punit_problem(punit_arena_t *arena, const punit_kind_t *kind, const char *detail,
                               ...) __attribute__((format(printf, 3, 4)));

/* The kind which a bare status stands for (404 -> punit_problem_not_found ...), for statements that
 * answer a status without a body. */
const punit_kind_t *punit_problem_of_status(int status);

/* The JSON document of it. */
char *punit_problem_json(punit_arena_t *arena, const punit_problem_t *problem);

#endif
