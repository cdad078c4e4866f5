/*
 * Arbiter: the unit that decides who has a login name.  When it is a peer it
 * is asked over libpq, as role punit_peer_<this unit>, with the unit's
 * certificate; connections are kept.  What is asked of it may be repeated.
 */

#ifndef PUNIT_AUTH_ARBITER_H
#define PUNIT_AUTH_ARBITER_H

#include "lib/http/request.h"

typedef struct punit_arbiters punit_arbiters;
typedef struct punit_asked    punit_asked;

/* `unit`: who asks. TLS files complete a conninfo that lacks them; each may be
 * NULL.  NULL without memory. */
punit_arbiters *punit_arbiters_create(const char *unit, const char *cert, const char *key,
                                      const char *ca);

/*
 * Sends a statement to a unit and returns while it runs there.  The problem is
 * 503 unit-unreachable: not a peer, marked down, or no connection within 2 s.
 */
punit_problem_t *punit_arbiter_ask(punit_arbiters *arbiters, punit_request_t *r, const char *unit,
                                   const char *sql, int n, const char *const *values,
                                   punit_asked **asked);

/*
 * Waits for the answer, up to 2 s; *rows lives as long as the request.
 * Problems: 503 unit-unreachable (it may have done what it was asked to), 503
 * when it denies to be the arbiter, which happens while buckets are dealt anew.
 * Must be called once for each `asked`.
 */
punit_problem_t *punit_arbiter_answer(punit_arbiters *arbiters, punit_request_t *r,
                                      punit_asked *asked, PGresult **rows);

#endif
