/* Auth: what the auth worker holds besides the configuration. Made at the start, never changed. */
#ifndef PUNIT_AUTH_AUTH_H
#define PUNIT_AUTH_AUTH_H

#include "auth/name/arbiter.h"
#include "auth/name/attempt.h"
#include "auth/password/argon.h"
#include "auth/password/common_passwords.h"
#include "auth/token/access_token.h"
#include "auth/token/keys.h"
#include "lib/base/pepper.h"
#include "lib/http/service.h"

typedef struct {
    argon_t            *argon;
    common_passwords_t *common;
    arbiters_t         *arbiters;
    punit_pepper_t      pepper;
    token_keys_t       *keys; /* the unit's own */
    access_issuer_t     issuer;
    attempt_limits_t    limits;
    const char         *session_life; /* PUNIT_SESSION_LIFE, default 90d, as an interval */
} auth_t;

extern auth_t auth;

/* The handlers of the routes in main.c. Each is in the file that its name begins with. */
punit_problem_t *register_user(punit_request_t *r, punit_answer_t *a);
punit_problem_t *login_user(punit_request_t *r, punit_answer_t *a);
punit_problem_t *session_refresh(punit_request_t *r, punit_answer_t *a);
punit_problem_t *session_logout(punit_request_t *r, punit_answer_t *a);
punit_problem_t *password_change(punit_request_t *r, punit_answer_t *a);
punit_problem_t *introspect_request(punit_request_t *r, punit_answer_t *a);
punit_problem_t *introspect_token(punit_request_t *r, punit_answer_t *a);
punit_problem_t *reissue_token(punit_request_t *r, punit_answer_t *a);

#endif
