/*
 * POST /auth/register: first the name, at its arbiter, then the account, in one
 * transaction here.  A name without an account, left by a crash or a lost
 * answer between the two, is finished by the next request for it, at the unit
 * that claimed it.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/directory.h"
#include "auth/pair.h"
#include "auth/password.h"

static const punit_kind_t name_taken = { 409, "name-taken", "This e-mail address has an account" };


static punit_problem_t *
create_account(punit_request_t *r, const punit_entry_t *entry, const char *password,
               punit_answer_t *a)
{
    punit_pair_t *pair = punit_pair_new(r, entry->user);
    PGresult     *rows;
    const char   *values[] = {
          entry->user,       entry->hash, password,       punit_request_member(r, "name"),
          pair->sid,         pair->jti,   pair->exp_text, pair->family_sum,
          pair->refresh_sum, r->client,
    };

    punit_problem_t *problem = punit_sql_query(
        r,
        "select status, epoch, gen, roles from auth.register($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        10, values, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }
    if (strcmp(punit_rows_text(rows, 0, "status"), "201") != 0) {
        return punit_problem(r->arena, &name_taken, NULL);
    }
    punit_log(PUNIT_LOG_INFO, "registered", "request=%s user=%s", r->id != NULL ? r->id : "-",
              entry->user);
    return punit_pair_answer(r, pair, rows, 201, a);
}


punit_problem_t *
punit_register(punit_request_t *r, punit_answer_t *a)
{
    punit_entry_t    entry;
    punit_problem_t *problem;
    bool             settled = false;
    char             password[PUNIT_ARGON_STR], proposed[PUNIT_UUID_SIZE];

    problem = punit_directory_find(r, &entry);
    const char *who = problem == NULL ? punit_attempt_name(r, entry.hash) : NULL;
    /* before it is told that the name is taken: who goes through a list of addresses is slowed down
     * too */
    if (problem == NULL) {
        problem = punit_attempt_take(r, who);
    }
    if (problem == NULL && entry.user != NULL) {
        problem = punit_directory_is_settled(r, &entry, &settled);
        if (problem == NULL && settled) {
            problem = punit_problem(r->arena, &name_taken, NULL);
        }
    }
    /* the slow part before the claim: a claim should not wait for it */
    if (problem == NULL) {
        problem = punit_password_hash(r, "password", password);
    }
    if (problem == NULL) {
        if (entry.user == NULL) {
            punit_uuid_new(proposed);
            entry.user = proposed;
        }
        problem = punit_directory_claim(r, &entry);
    }
    if (problem != NULL) {
        return problem;
    }
    if (strcmp(entry.unit, punit_config.unit) == 0) {
        problem = create_account(r, &entry, password, a);
        if (problem == NULL) {
            punit_attempt_return(r, who);
        }
        return problem;
    }

    problem = punit_directory_is_settled(r, &entry, &settled);
    if (problem != NULL) {
        return problem;
    }
    if (settled) {
        return punit_problem(r->arena, &name_taken, NULL);
    }
    /* claimed from another unit, and no user of that id is known here: there it is, or will be,
     * finished */
    a->status = 421;
    a->owner_unit = entry.unit;
    a->owner_epoch = 1;
    return NULL;
}
