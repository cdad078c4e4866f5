/*
 * POST /auth/login.  The unit that owns the user verifies the password; other
 * units answer 421.  A name nobody has and a wrong password cost the same work
 * and get the same answer.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/directory.h"
#include "auth/pair.h"
#include "auth/password.h"

static const punit_kind_t bad_credentials = { 401, "bad-credentials",
                                              "E-mail address or password is wrong" };


/* The same to the byte whether the name exists or not: Punit-Owner goes too. */
static punit_problem_t *
refuse(punit_request_t *r, punit_answer_t *a)
{
    a->owner_unit = NULL;
    return punit_problem(r->arena, &bad_credentials, NULL);
}


/* Whether this is the password of `hash`, or of nobody (NULL), for the same work. Only guesses
 * count. */
static punit_problem_t *
verify(punit_request_t *r, const punit_entry_t *entry, const char *hash, bool *right)
{
    const char      *who = punit_attempt_name(r, entry->hash);
    punit_problem_t *problem = punit_attempt_take(r, who);

    if (problem != NULL) {
        return problem;
    }
    problem = punit_password_verify(r, "password", hash, right);
    if (problem != NULL || *right) {
        punit_attempt_return(r, who);
    }
    return problem;
}


/* A name that the replica does not know: nobody's, unless the arbiter says so. The question travels
 * while the password is hashed, so that the wait tells nothing. */
static punit_problem_t *
ask_arbiter(punit_request_t *r, punit_entry_t *entry)
{
    punit_asked_t   *asked = NULL;
    PGresult        *rows;
    bool             right;
    punit_problem_t *problem = NULL, *busy;

    if (punit_directory_is_remote(entry)) {
        problem = punit_arbiter_ask(punit_auth.arbiters, r, entry->arbiter,
                                    "select user_id, unit from auth.find_name($1)", 1, &entry->hash,
                                    &asked);
        if (problem != NULL) {
            return problem;
        }
    }
    busy = verify(r, entry, NULL, &right);
    if (asked != NULL) {
        problem = punit_arbiter_answer(punit_auth.arbiters, r, asked, &rows);
        if (problem == NULL) {
            entry->user = punit_rows_text(rows, 0, "user_id");
            entry->unit = punit_rows_text(rows, 0, "unit");
        }
        if (entry->user != NULL && busy == NULL) {
            /* his password is looked at below: that one counts */
            punit_attempt_return(r, punit_attempt_name(r, entry->hash));
        }
    }
    return busy != NULL ? busy : problem;
}


/* Opens a session for the user whose stored hash was just verified. */
static punit_problem_t *
open_session(punit_request_t *r, const char *user, const char *hash, punit_answer_t *a)
{
    punit_pair_t *pair = punit_pair_new(r, user);
    PGresult     *rows;
    char          rehashed[PUNIT_ARGON_STR];
    bool          outdated =
        punit_argon_outdated(hash) && punit_password_hash(r, "password", rehashed) == NULL;
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
    };

    punit_problem_t *problem = punit_owned_query(
        r, user,
        "select epoch, status, gen, roles from auth.login($1, $2, $3, $4, $5, $6, $7, $8, $9)", 9,
        values, &rows, a);
    if (problem != NULL || rows == NULL) {
        return problem;
    }
    if (strcmp(punit_rows_text(rows, 0, "status"), "200") != 0) {
        return refuse(r, a);
    }
    return punit_pair_answer(r, pair, rows, 200, a);
}


punit_problem_t *
punit_login(punit_request_t *r, punit_answer_t *a)
{
    punit_entry_t entry;
    PGresult     *rows;
    bool          right;

    punit_problem_t *problem = punit_directory_find(r, &entry);
    if (problem == NULL && entry.user == NULL) {
        /* what is asked for a name that somebody has is asked for one that nobody has */
        const char *nobody = "00000000-0000-0000-0000-000000000000";
        problem = punit_sql_query(r, punit_credential_statement, 1, &nobody, &rows, NULL);
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

    problem = punit_owned_query(r, entry.user, punit_credential_statement, 1, &entry.user, &rows, a);
    if (problem != NULL && problem->kind == &punit_unknown_user) {
        /* The name is claimed and no unit is known to own its user: he registered elsewhere a
         * moment ago and the directory is late, or the registration was never finished. His unit
         * knows. */
        if (strcmp(entry.unit, punit_config.unit) != 0) {
            a->status = 421;
            a->owner_unit = entry.unit;
            a->owner_epoch = 1;
            return NULL;
        }
        problem = verify(r, &entry, NULL, &right);
        return problem != NULL ? problem : refuse(r, a);
    }
    if (problem != NULL || rows == NULL) {
        return problem;
    }

    const char *hash = punit_rows_text(rows, 0, "password");
    problem = verify(r, &entry, hash, &right);
    if (problem != NULL) {
        return problem;
    }
    return right ? open_session(r, entry.user, hash, a) : refuse(r, a);
}
