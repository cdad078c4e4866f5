#include "auth/password/password.h"

#include <string.h>
#include <unistr.h>

#include "auth/auth.h"
#include "auth/password/opaque_string.h"
#include "lib/pg/ownership.h"

const char password_credential[] =
    "select o.epoch, c.password, c.name_hash" PUNIT_OWNERSHIP_FROM
    " left join auth.credential c using (user_id)" PUNIT_OWNERSHIP_OWNED;

static const punit_kind_t wrong_password = { 403, "wrong-password",
                                             "The old password is not the right one" };


static punit_problem_t *
unable(punit_request_t *r, argon_rc_t rc)
{
    punit_log(PUNIT_LOG_WARN, "argon", "request=%s why=%s", r->id != NULL ? r->id : "-",
              rc == ARGON_BUSY ? "queue-full" : "no-memory");
    return punit_problem(r->arena, &punit_problem_try_later, "too many are logging in");
}


punit_problem_t *
password_check(punit_request_t *r, const char *member)
{
    const char *password = opaque_string(r->arena, punit_request_member(r, member));
    const char *fault = NULL;

    if (password == NULL) {
        return unable(r, ARGON_FAILED);
    }

    if (u8_mbsnlen((const uint8_t *) password, strlen(password)) < PASSWORD_MIN) {
        fault = "too short";
    } else if (common_passwords_has(auth.common, password)) {
        fault = "one of the passwords that attackers try first";
    }

    if (fault == NULL) {
        return NULL;
    }

    punit_problem_t *problem = punit_problem(r->arena, &punit_problem_invalid, NULL);
    problem->errors =
        punit_arena_format(r->arena, "[{\"pointer\":\"/%s\",\"detail\":\"%s\"}]", member, fault);
    return problem;
}


punit_problem_t *
password_hash(punit_request_t *r, const char *member, char hash[ARGON_STR])
{
    const char *password = opaque_string(r->arena, punit_request_member(r, member));
    argon_rc_t  rc =
        password != NULL ? argon_hash(auth.argon, password, strlen(password), hash) : ARGON_FAILED;

    return rc == ARGON_OK ? NULL : unable(r, rc);
}


punit_problem_t *
password_verify(punit_request_t *r, const char *member, const char *hash, password_match_t *match)
{
    const char *sent = punit_request_member(r, member);
    const char *password = opaque_string(r->arena, sent);
    argon_rc_t  rc = password != NULL ? argon_verify(auth.argon, hash, password, strlen(password))
                                      : ARGON_FAILED;

    *match = rc == ARGON_OK ? PASSWORD_RIGHT : PASSWORD_WRONG;

    /* Release 0.2.0 hashed what was sent. */
    if (rc == ARGON_MISMATCH && strcmp(password, sent) != 0) {
        rc = argon_verify(auth.argon, hash, sent, strlen(sent));
        *match = rc == ARGON_OK ? PASSWORD_RIGHT_AS_SENT : PASSWORD_WRONG;
    }

    return rc == ARGON_OK || rc == ARGON_MISMATCH ? NULL : unable(r, rc);
}


/* POST /auth/password. The session that changes the password goes on, all others end. */
punit_problem_t *
password_change(punit_request_t *r, punit_answer_t *a)
{
    PGresult        *rows;
    punit_problem_t *problem;
    password_match_t match;
    char             hash[ARGON_STR];

    problem = punit_owned_query(r, r->user, password_credential, 1, &r->user, &rows, a);
    if (problem != NULL || rows == NULL) {
        return problem;
    }

    const char *old = punit_rows_text(rows, 0, "password");
    const char *who = attempt_name(r, punit_rows_text(rows, 0, "name_hash"));
    problem = attempt_take(r, who);
    if (problem != NULL) {
        return problem;
    }

    problem = password_verify(r, "old", old, &match);
    if (problem != NULL || match != PASSWORD_WRONG) {
        attempt_return(r, who, problem == NULL);
    }

    if (problem == NULL && match == PASSWORD_WRONG) {
        attempt_log(r, who);
        problem = punit_problem(r->arena, &wrong_password, NULL);
    }

    if (problem == NULL) {
        problem = password_check(r, "new");
    }

    if (problem == NULL) {
        problem = password_hash(r, "new", hash);
    }

    if (problem != NULL) {
        return problem;
    }

    const char *values[] = { r->user, punit_request_param(r, "PUNIT_CLAIM_SID"), r->jti, old,
                             hash };
    problem = punit_owned_query(
        r, r->user,
        "select epoch, status"
        " from auth.change_password($1, coalesce($2, auth.session_of($1, $3)), $4, $5)",
        5, values, &rows, a);
    if (problem != NULL || rows == NULL) {
        return problem;
    }

    if (strcmp(punit_rows_text(rows, 0, "status"), "204") != 0) {
        return punit_problem(r->arena, &punit_problem_conflict,
                             "the password has just been changed by another request");
    }

    a->status = 204;
    return NULL;
}
