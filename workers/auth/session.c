/* Sessions: POST /auth/refresh and /auth/logout. (GET and DELETE /auth/sessions are statements, see
 * main.c.) */

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/pair.h"
#include "auth/token_grid.h"

static const punit_kind_t bad_refresh_token = { 401, "bad-refresh-token",
                                                "The refresh token is not valid" };


punit_problem_t *
punit_refresh_pair(punit_request_t *r, punit_answer_t *a)
{
    const char   *text = punit_request_member(r, "refresh_token");
    punit_refresh presented;
    unsigned char family[PUNIT_SUM], whole[PUNIT_SUM];
    PGresult     *rows;

    if (!punit_refresh_parse(&presented, text, strlen(text))) {
        return punit_problem(r->arena, &bad_refresh_token, NULL);
    }
    punit_pair_t *pair = punit_pair_next(r, &presented);
    punit_refresh_sums(&presented, family, whole);

    const char *values[] = {
        pair->user,        pair->family_sum, punit_bytea(r->arena, whole, sizeof whole),
        pair->refresh_sum, pair->jti,        pair->exp_text,
        r->client,
    };
    punit_problem_t *problem = punit_owned_query(
        r, pair->user,
        "select epoch, outcome, session, gen, roles from auth.rotate($1, $2, $3, $4, $5, $6, $7)",
        7, values, &rows, a);
    if (problem != NULL) {
        return problem->kind == &punit_unknown_user
                   ? punit_problem(r->arena, &bad_refresh_token, NULL)
                   : problem;
    }
    if (rows == NULL) {
        return NULL;
    }

    const char *outcome = punit_rows_text(rows, 0, "outcome");
    if (strcmp(outcome, "rotated") == 0) {
        pair->sid = punit_rows_text(rows, 0, "session");
        return punit_pair_answer(r, pair, rows, 200, a);
    }
    if (strcmp(outcome, "reused") == 0) {
        punit_log(PUNIT_LOG_WARN, "refresh-reused", "request=%s user=%s session=%s",
                  r->id != NULL ? r->id : "-", pair->user, punit_rows_text(rows, 0, "session"));
    }
    return punit_problem(r->arena, &bad_refresh_token, NULL);
}


/* At whichever unit: where the user is not owned, and his owner perhaps down, auth.ended alone ends
 * the session. */
punit_problem_t *
punit_logout(punit_request_t *r, punit_answer_t *a)
{
    const char *exp = punit_request_param(r, "PUNIT_CLAIM_EXP");
    PGresult   *rows;

    if (r->user == NULL || r->jti == NULL) {
        return punit_problem(r->arena, &punit_unauthorized, NULL);
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
    punit_token_revoked(r, r->jti, (time_t) punit_rows_number(rows, 0, "exp"));

    const char *epoch = punit_rows_text(rows, 0, "epoch");
    if (epoch != NULL) {
        a->owner_unit = punit_config.unit;
        a->owner_epoch = strtoll(epoch, NULL, 10);
    }
    a->status = 204;
    return NULL;
}
