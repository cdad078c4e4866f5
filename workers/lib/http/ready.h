/* Ready: whether a balancer should send requests to this unit, as each service knows it. */
#ifndef PUNIT_LIB_HTTP_READY_H
#define PUNIT_LIB_HTTP_READY_H

#include "lib/http/route.h"

/* The handler of GET /ready: 200, or 503 with the reasons in `failing`. They are "database",
 * "draining" and "leaving". */
punit_problem_t *punit_ready(punit_request_t *r, punit_answer_t *a);

#endif
