/* Owned: statements about one user. Only the unit that owns the user answers them. */
#ifndef PUNIT_LIB_HTTP_OWNED_H
#define PUNIT_LIB_HTTP_OWNED_H

#include "lib/http/request.h"

/* Runs `sql` for `user`, who at login and refresh is not the token's.
 * - A row: *rows is set, and a->owner_* from its column epoch.
 * - No row means that this unit does not own the user, and that nothing was done. Then *rows = NULL
 *   and `a` is a 421 with Punit-Owner and no body, or there is a problem: 401 unknown-user when no
 *   unit knows the user or the user was erased, 503 try-later when a stale request finds no copy.
 * A request with an epoch above this unit's own means that the user is just arriving. The statement
 * is then repeated for up to 2 s, without a connection in between. After that the answer is 503
 * with Retry-After, never a 421 back. */
punit_problem_t *punit_owned_query(punit_request_t *r, const char *user, const char *sql, int n,
                                   const char *const *values, PGresult **rows, punit_answer_t *a);

/* With values of both formats, see punit_sql_query_mixed. */
punit_problem_t *punit_owned_query_mixed(punit_request_t *r, const char *user, const char *sql,
                                         int n, const char *const *values, const int *lengths,
                                         PGresult **rows, punit_answer_t *a);

#endif
