/* /punit/reissue: a new token for a user who has moved to this unit. NGINX asks for it and has
 * verified the old one. Only unit, epoch and the signing key are new. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "lib/pg/ownership.h"


punit_problem_t *
reissue_token(punit_request_t *r, punit_answer_t *a)
{
    const char *exp = punit_request_param(r, "PUNIT_CLAIM_EXP");
    const char *iat = punit_request_param(r, "PUNIT_CLAIM_IAT");
    const char *sid = punit_request_param(r, "PUNIT_CLAIM_SID");
    PGresult   *rows;

    if (r->user == NULL || r->jti == NULL || exp == NULL || iat == NULL || sid == NULL) {
        return punit_problem(r->arena, &punit_problem_conflict,
                             "not a token that can be issued again");
    }

    punit_problem_t *problem =
        punit_owned_query(r, r->user, "select o.epoch" PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_OWNED,
                          1, &r->user, &rows, a);
    if (problem != NULL && problem->kind == &punit_problem_unknown_user) {
        /* A 401 would be a fault to NGINX, which only must know that there is no new token. */
        return punit_problem(r->arena, &punit_problem_conflict, "nobody owns this user");
    }

    if (problem != NULL || rows == NULL) {
        return problem;
    }

    access_claims_t claims = {
        .user = r->user,
        .jti = r->jti,
        .sid = sid,
        .roles = r->roles != NULL ? r->roles : "",
        .iat = (time_t) strtoll(iat, NULL, 10),
        .exp = (time_t) strtoll(exp, NULL, 10),
        .epoch = (uint64_t) punit_rows_number(rows, 0, "epoch"),
        .gen = r->gen != NULL ? strtoull(r->gen, NULL, 10) : 0,
    };
    char *token = access_token_issue(&auth.issuer, &claims);
    if (token == NULL) {
        punit_log(PUNIT_LOG_ERROR, "token-not-signed", "user=%s", r->user);
        return punit_problem(r->arena, &punit_problem_internal, NULL);
    }

    punit_arena_own(r->arena, free, token);
    a->type = "application/jwt";
    a->body = token;
    a->no_store = true;
    return NULL;
}
