/* Validate: from FastCGI parameters and a body to a request whose every part is checked. */
#ifndef PUNIT_LIB_HTTP_VALIDATE_H
#define PUNIT_LIB_HTTP_VALIDATE_H

#include "lib/http/request.h"

/* A body as it was read. Bytes beyond PUNIT_BODY_MAX are counted, not kept. */
typedef struct {
    char  *text; /* NUL-ended */
    size_t kept;
    size_t length;
} punit_validate_body_t;

/* Fills the request from r->params. Checks nothing yet. */
void punit_validate_params(punit_request_t *r);

/* Finds the route and fills the rest of r. Checks in this order: path 404, method 405, user 401,
 * role 403, size 413, headers and query 400, content type 415, body 400 and 422. OPTIONS is
 * answered here: a->status is set and r->route stays NULL. */
punit_problem_t *punit_validate_request(punit_request_t *r, const punit_route_t *routes,
                                        const punit_validate_body_t *body, punit_answer_t *a);

#endif
