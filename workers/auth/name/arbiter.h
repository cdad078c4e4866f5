/* Arbiter: the unit that decides who has a login name. A peer is asked over libpq, as role
 * punit_peer_<this unit> with the unit's certificate. Connections are kept. What is asked of a peer
 * may be repeated. */
#ifndef PUNIT_AUTH_NAME_ARBITER_H
#define PUNIT_AUTH_NAME_ARBITER_H

#include <libpq-fe.h>

#include "lib/http/request.h"

typedef struct arbiters arbiters_t;
typedef struct asked    asked_t;

/* The kept connections of this process. NULL without memory. */
arbiters_t *arbiter_create(void);

/* Sends a statement to a unit and returns while it runs there. The problem is 503 unit-unreachable:
 * the unit is no peer, is marked down, or gives no connection within 2 s. */
punit_problem_t *arbiter_ask(arbiters_t *arbiters, punit_request_t *r, const char *unit,
                             const char *sql, int n, const char *const *values, asked_t **asked);

/* Waits up to 2 s for the answer. *rows lives as long as the request. Must be called once for each
 * `asked`. Problems:
 * - 503 unit-unreachable: the unit may have done what it was asked for.
 * - 503 try-later: the unit denies that it is the arbiter, as while buckets are dealt anew. */
punit_problem_t *arbiter_answer(arbiters_t *arbiters, punit_request_t *r, asked_t *asked,
                                PGresult **rows);

#endif
