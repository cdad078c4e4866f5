/* Sessions: POST /auth/refresh and /auth/logout. GET and DELETE /auth/sessions are statements in
 * auth.c. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/token/pair.h"
#include "auth/token/token_grid.h"
#include "lib/pg/bytea.h"

static const punit_kind_t bad_refresh_token = { 401, "bad-refresh-token",
                                                "The refresh token is not valid" };


punit_problem_t *
session_refresh(punit_request_t *r, punit_answer_t *a)
{
    const char     *text = punit_request_member(r, "refresh_token");
    refresh_token_t presented;
    unsigned char   family[REFRESH_TOKEN_SUM], whole[REFRESH_TOKEN_SUM];
    PGresult       *rows;

    if (!refresh_token_parse(&presented, text, strlen(text))) {
        return punit_problem(r->arena, &bad_refresh_token, NULL);
    }

    pair_t *pair = pair_next(r, &presented);
    refresh_token_sums(&presented, family, whole);

    const char *values[] = {
        pair->user,        pair->family_sum,  punit_bytea_text(r->arena, whole, sizeof(whole)),
        pair->refresh_sum, pair->jti,         pair->exp_text,
        r->client,         auth.session_life,
    };
    punit_problem_t *problem =
        punit_owned_query(r, pair->user,
                          "select epoch, outcome, session, gen, roles, exp"
                          " from auth.rotate($1, $2, $3, $4, $5, $6, $7, $8)",
                          8, values, &rows, a);
    if (problem != NULL) {
        return problem->kind == &punit_problem_unknown_user
                   ? punit_problem(r->arena, &bad_refresh_token, NULL)
                   : problem;
    }

    if (rows == NULL) {
        return NULL;
    }

    const char *outcome = punit_rows_text(rows, 0, "outcome");
    if (strcmp(outcome, "rotated") == 0) {
        pair->sid = punit_rows_text(rows, 0, "session");
        pair->exp = (time_t) punit_rows_number(rows, 0, "exp");
        return pair_answer(r, pair, rows, 200, a);
    }

    if (strcmp(outcome, "reused") == 0) {
        punit_log(PUNIT_LOG_WARN, "refresh-reused", "request=%s user=%s session=%s",
                  r->id != NULL ? r->id : "-", pair->user, punit_rows_text(rows, 0, "session"));
    }

    return punit_problem(r->arena, &bad_refresh_token, NULL);
}


/* Any unit takes it. At a unit that does not own the user, a row of auth.ended ends the session,
 * even while the owner is down. */
punit_problem_t *
session_logout(punit_request_t *r, punit_answer_t *a)
{
    const char *exp = punit_request_param(r, "PUNIT_CLAIM_EXP");
    PGresult   *rows;

    if (r->user == NULL || r->jti == NULL) {
        return punit_problem(r->arena, &punit_problem_unauthorized, NULL);
    }

    const char      *values[] = { r->user, punit_request_param(r, "PUNIT_CLAIM_SID"), r->jti, exp };
    punit_problem_t *problem =
        punit_sql_query(r,
                        "select epoch, floor(extract(epoch from exp))::bigint as exp"
                        "  from auth.logout($1, $2, $3, to_timestamp($4::bigint))",
                        4, values, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }

    token_grid_revoked(r, r->jti, (time_t) punit_rows_number(rows, 0, "exp"));

    const char *epoch = punit_rows_text(rows, 0, "epoch");
    if (epoch != NULL) {
        a->owner_unit = punit_config.unit;
        a->owner_epoch = strtoll(epoch, NULL, 10);
    }

    a->status = 204;
    return NULL;
}
