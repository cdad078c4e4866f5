/* Pair: an access token and a refresh token for a client. The ids and secrets are drawn first. The
 * database stores what it must know of them. Its answer (epoch, gen, roles) completes the access
 * token. */
#ifndef PUNIT_AUTH_TOKEN_PAIR_H
#define PUNIT_AUTH_TOKEN_PAIR_H

#include "auth/token/refresh_token.h"
#include "lib/base/uuid.h"
#include "lib/http/request.h"

typedef struct {
    const char     *user;
    const char     *sid;
    char            jti[PUNIT_UUID_SIZE];
    time_t          iat, exp;
    refresh_token_t refresh;
    /* as parameters of statements */
    const char *exp_text;    /* timestamptz */
    const char *family_sum;  /* bytea */
    const char *refresh_sum; /* bytea */
} pair_t;

/* The first pair of a new session. */
pair_t *pair_new(punit_request_t *r, const char *user);

/* The next pair of the session of `from`. The caller sets sid once it is known. */
pair_t *pair_next(punit_request_t *r, const refresh_token_t *from);

/* Answers {user_id, access_token, ...}, by the columns epoch, gen and roles of the first row. */
punit_problem_t *pair_answer(punit_request_t *r, const pair_t *pair, const PGresult *rows,
                             int status, punit_answer_t *a);

#endif
