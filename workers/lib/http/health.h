/* Health: whether a service has all that it needs. Readiness: whether a balancer should send
 * requests to this unit. */
#ifndef PUNIT_LIB_HTTP_HEALTH_H
#define PUNIT_LIB_HTTP_HEALTH_H

#include "lib/http/route.h"

/* The handler of GET /<service>/health: 200, or 503 with the names of what does not answer in
 * `failing`. They are "database", "grid" and "token-grid". */
punit_problem_t *punit_health(punit_request_t *r, punit_answer_t *a);

/* The handler of GET /ready: 200, or 503 with the reasons in `failing`. They are "database",
 * "draining" and "leaving". */
punit_problem_t *punit_ready(punit_request_t *r, punit_answer_t *a);

#endif
