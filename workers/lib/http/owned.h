/* Owner: statements about one user, which answer only at the unit that owns him. */
#ifndef PUNIT_LIB_HTTP_OWNED_H
#define PUNIT_LIB_HTTP_OWNED_H

#include "lib/http/request.h"

/* Runs `sql` for `user` (not always the token's: login, refresh). A row: *rows is set, and
 * a->owner_* from its column epoch. No row, which means that this unit does not own him and nothing
 * was done: *rows = NULL and `a` is a 421 with Punit-Owner and no body; or the answer is a problem:
 * 401 unknown-user (no unit knows him, erased), 503 try-later when the stale route finds no copy.
 * When the request carries an epoch above the unit's own he is just arriving: the statement is
 * repeated for up to 2 s, holding no connection in between, then 503 with Retry-After, never a 421
 * back. */
punit_problem_t *punit_owned_query(punit_request_t *r, const char *user, const char *sql, int n,
                                   const char *const *values, PGresult **rows, punit_answer_t *a);

/* With values of both formats, see punit_sql_query_mixed. */
punit_problem_t *punit_owned_query_mixed(punit_request_t *r, const char *user, const char *sql,
                                         int n, const char *const *values, const int *lengths,
                                         PGresult **rows, punit_answer_t *a);

#endif
