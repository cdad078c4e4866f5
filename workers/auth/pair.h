/*
 * Pair: an access and a refresh token on their way to a client.  The ids and
 * secrets are drawn first, the database stores what it must know of them, and
 * what it answers (epoch, gen, roles) completes the access token.
 */

#ifndef PUNIT_AUTH_PAIR_H
#define PUNIT_AUTH_PAIR_H

#include "auth/refresh_token.h"
#include "lib/base/uuid.h"
#include "lib/http/request.h"

typedef struct {
    const char   *user;
    const char   *sid;
    char          jti[PUNIT_UUID_SIZE];
    time_t        iat, exp;
    punit_refresh refresh;
    /* for statements */
    const char *exp_text;    /* timestamptz */
    const char *family_sum;  /* bytea */
    const char *refresh_sum; /* bytea */
} punit_pair_t;

/* The first pair of a new session. */
punit_pair_t *punit_pair_new(punit_request_t *r, const char *user);

/* The next pair of the session that `from` belongs to; sid is set once it is known. */
punit_pair_t *punit_pair_next(punit_request_t *r, const punit_refresh *from);

/* The answer {user_id, access_token, ...} from the columns epoch, gen and roles of a statement's
 * first row. */
punit_problem_t *punit_pair_answer(punit_request_t *r, const punit_pair_t *pair,
                                   const PGresult *rows, int status, punit_answer_t *a);

/* Bytes as the text of a bytea. */
const char *punit_bytea(punit_arena_t *arena, const unsigned char *bytes, size_t n);

#endif
