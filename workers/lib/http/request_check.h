/* Request check: finds the route of a request, and checks each part of the request against it. */
#ifndef PUNIT_LIB_HTTP_REQUEST_CHECK_H
#define PUNIT_LIB_HTTP_REQUEST_CHECK_H

#include "lib/http/request.h"

/* A body as it was read. Bytes beyond PUNIT_BODY_MOST are counted, not kept. */
typedef struct {
    char  *text; /* NUL-ended */
    size_t kept;
    size_t length;
} punit_request_check_body_t;

/* Finds the route and fills the rest of r. Checks in this order: path 404, method 405, user 401,
 * role 403, size 413, headers and query 400, content type 415, body 400 and 422. OPTIONS is
 * answered here: a->status is set and r->route stays NULL. */
punit_problem_t *punit_request_check(punit_request_t *r, const punit_route_t *routes,
                                     const punit_request_check_body_t *body, punit_answer_t *a);

#endif
