/* What the auth worker holds besides the configuration, made at start and never changed. */

#ifndef PUNIT_AUTH_AUTH_H
#define PUNIT_AUTH_AUTH_H

#include "auth/access_token.h"
#include "auth/arbiter.h"
#include "auth/argon.h"
#include "auth/attempt.h"
#include "auth/keys.h"
#include "lib/base/pepper.h"
#include "lib/http/service.h"

typedef struct {
    punit_argon           *argon;
    punit_arbiters_t      *arbiters;
    punit_pepper_t         pepper;
    punit_keys            *keys; /* the unit's own */
    access_issuer_t        issuer;
    punit_attempt_limits_t limits;
} punit_auth_t;

extern punit_auth_t punit_auth;

/* The handlers, one a route or a few that belong together; see main.c. */
punit_problem_t *punit_register(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_login(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_refresh_pair(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_logout(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_password(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_jwks(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_introspect(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_introspect_token(punit_request_t *r, punit_answer_t *a);
punit_problem_t *punit_reissue(punit_request_t *r, punit_answer_t *a);

#endif
