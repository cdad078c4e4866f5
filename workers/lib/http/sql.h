/* SQL: a request's statements, and the problems that their errors stand for. */
#ifndef PUNIT_LIB_HTTP_SQL_H
#define PUNIT_LIB_HTTP_SQL_H

#include "lib/http/answer.h"
#include "lib/http/request.h"
#include "lib/pg/rows.h"

/* Runs one statement in a transaction of its own. `sql` must be static, since its address names the
 * prepared statement. values: text, NULL = null. *rows lives as long as the request.
 *
 * Problems:
 * - punit_problem_database_down, also while PostgreSQL is in recovery unless the request is stale,
 *   punit_problem_unknown_outcome and punit_problem_try_later. A peer gets these three as 502 where
 * the database did not answer, so that its front asks on.
 * - The SQLSTATEs PU401, PU404, PU409, PU422 and PU503 give their status, 23505 and 23503 give 409.
 * - PU421 gives no problem when `a` is given: *rows = NULL, a->status = 421, a->author is set.
 * 40001 and 40P01 are repeated first. */
punit_problem_t *punit_sql_query(punit_request_t *r, const char *sql, int n,
                                 const char *const *values, PGresult **rows, punit_answer_t *a);

/* The same with values in binary format: those with a length. 0 means text. */
punit_problem_t *punit_sql_query_mixed(punit_request_t *r, const char *sql, int n,
                                       const char *const *values, const int *lengths,
                                       PGresult **rows, punit_answer_t *a);

#endif
