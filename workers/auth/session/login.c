/* POST /auth/login. The unit that owns the user verifies the password. Other units answer 421. A
 * name that does not exist and a wrong password cost the same work and get the same answer. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/name/directory.h"
#include "auth/password/password.h"
#include "auth/token/pair.h"

static const punit_kind_t bad_credentials = { 401, "bad-credentials",
                                              "E-mail address or password is wrong" };


/* The answer is the same to the byte whether the name exists or not, so Punit-Owner goes too. */
static punit_problem_t *
refuse(punit_request_t *r, punit_answer_t *a)
{
    a->owner_unit = NULL;
    return punit_problem(r->arena, &bad_credentials, NULL);
}


/* Whether this is the password of `hash`. NULL costs the same work. Only wrong guesses count as
 * attempts. */
static punit_problem_t *
verify(punit_request_t *r, const directory_entry_t *entry, const char *hash,
       password_match_t *match)
{
    const char      *who = attempt_name(r, entry->hash);
    punit_problem_t *problem = attempt_take(r, who);

    if (problem != NULL) {
        return problem;
    }

    problem = password_verify(r, "password", hash, match);
    if (problem != NULL || *match != PASSWORD_WRONG) {
        attempt_return(r, who, problem == NULL);
    } else {
        attempt_log(r, who);
    }

    return problem;
}


/* The replica does not know the name, so the arbiter decides. The arbiter works while the password
 * is hashed, so that the time taken reveals nothing. */
static punit_problem_t *
ask_arbiter(punit_request_t *r, directory_entry_t *entry)
{
    asked_t         *asked = NULL;
    PGresult        *rows;
    password_match_t match;
    punit_problem_t *problem = NULL, *busy;

    if (directory_is_remote(entry)) {
        problem =
            arbiter_ask(auth.arbiters, r, entry->arbiter,
                        "select user_id, unit from auth.find_name($1)", 1, &entry->hash, &asked);
        if (problem != NULL) {
            return problem;
        }
    }

    busy = verify(r, entry, NULL, &match);
    if (asked != NULL) {
        problem = arbiter_answer(auth.arbiters, r, asked, &rows);
        if (problem == NULL) {
            entry->user = punit_rows_text(rows, 0, "user_id");
            entry->unit = punit_rows_text(rows, 0, "unit");
        }

        if (entry->user != NULL && busy == NULL) {
            /* The caller verifies the password and counts that attempt. */
            attempt_return(r, attempt_name(r, entry->hash), false);
        }
    }

    return busy != NULL ? busy : problem;
}


/* Opens a session. The stored hash has just been verified. */
static punit_problem_t *
open_session(punit_request_t *r, const char *user, const char *hash, password_match_t match,
             punit_answer_t *a)
{
    pair_t   *pair = pair_new(r, user);
    PGresult *rows;
    char      rehashed[ARGON_STR];
    bool      outdated = (match == PASSWORD_RIGHT_AS_SENT || argon_outdated(hash))
                    && password_hash(r, "password", rehashed) == NULL;
    const char *values[] = {
        user,
        hash,
        pair->sid,
        pair->jti,
        pair->exp_text,
        pair->family_sum,
        pair->refresh_sum,
        r->client,
        outdated ? rehashed : NULL,
        auth.session_life,
    };

    punit_problem_t *problem = punit_owned_query(
        r, user,
        "select epoch, status, gen, roles from auth.login($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        10, values, &rows, a);
    if (problem != NULL || rows == NULL) {
        return problem;
    }

    if (strcmp(punit_rows_text(rows, 0, "status"), "200") != 0) {
        return refuse(r, a);
    }

    return pair_answer(r, pair, rows, 200, a);
}


punit_problem_t *
login_user(punit_request_t *r, punit_answer_t *a)
{
    directory_entry_t entry;
    PGresult         *rows;
    password_match_t  match;

    punit_problem_t *problem = directory_find(r, &entry);
    if (problem == NULL && entry.user == NULL) {
        /* A name without a user costs the same statements as one with a user. */
        const char *nobody = "00000000-0000-0000-0000-000000000000";
        problem = punit_sql_query(r, password_credential, 1, &nobody, &rows, NULL);
    }

    if (problem == NULL && entry.user == NULL) {
        problem = ask_arbiter(r, &entry);
        if (problem == NULL && entry.user == NULL) {
            problem = refuse(r, a);
        }
    }

    if (problem != NULL) {
        return problem;
    }

    problem = punit_owned_query(r, entry.user, password_credential, 1, &entry.user, &rows, a);
    if (problem != NULL && problem->kind == &punit_problem_unknown_user) {
        /* The name is claimed, but no unit is known to own its user. Either the directory lags
         * behind a registration elsewhere, or a registration was never finished. The unit of the
         * claim knows. */
        if (strcmp(entry.unit, punit_config.unit) != 0) {
            a->status = 421;
            a->owner_unit = entry.unit;
            a->owner_epoch = 1;
            return NULL;
        }

        problem = verify(r, &entry, NULL, &match);
        return problem != NULL ? problem : refuse(r, a);
    }

    if (problem != NULL || rows == NULL) {
        return problem;
    }

    const char *hash = punit_rows_text(rows, 0, "password");
    problem = verify(r, &entry, hash, &match);
    if (problem != NULL) {
        return problem;
    }

    return match != PASSWORD_WRONG ? open_session(r, entry.user, hash, match, a) : refuse(r, a);
}
