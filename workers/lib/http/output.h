/* Output: an answer as FastCGI (CGI) headers, entity tags. Used by the service's loop alone. */
#ifndef PUNIT_LIB_HTTP_OUTPUT_H
#define PUNIT_LIB_HTTP_OUTPUT_H

#include "lib/http/answer.h"
#include "lib/http/problem.h"

/* Strong entity tag of a body: the first 16 bytes of its SHA-256, hex, quoted (RFC 9110
 * section 8.8.3). */
const char *punit_etag(punit_arena_t *arena, const char *body, size_t len);

/* Whether If-None-Match's list names etag, compared weakly (RFC 9110 section 13.1.2). */
bool punit_etag_matches(const char *list, const char *etag);

/* Turns an answer into that of a problem, keeping what it says of the owner. */
void punit_answer_problem(punit_arena_t *arena, punit_answer_t *a, const punit_problem_t *problem);

/* Status and headers, with the empty line; problem may be NULL. */
const char *punit_answer_head(punit_arena_t *arena, const punit_answer_t *a,
                              const punit_problem_t *problem);

#endif
