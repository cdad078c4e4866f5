/* POST /auth/register. The name is claimed at its arbiter first. Then the account is made here, in
 * one transaction. A crash or a lost answer between the two leaves a name without an account. The
 * next request for the name at the unit that claimed it finishes the account. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/name/directory.h"
#include "auth/password/password.h"
#include "auth/token/pair.h"

static const punit_kind_t name_taken = { 409, "name-taken", "This e-mail address has an account" };


static punit_problem_t *
create_account(punit_request_t *r, const directory_entry_t *entry, const char *password,
               punit_answer_t *a)
{
    pair_t     *pair = pair_new(r, entry->user);
    PGresult   *rows;
    const char *values[] = {
        entry->user,       entry->hash, password,          punit_request_member(r, "name"),
        pair->sid,         pair->jti,   pair->exp_text,    pair->family_sum,
        pair->refresh_sum, r->client,   auth.session_life,
    };

    punit_problem_t *problem =
        punit_sql_query(r,
                        "select status, epoch, gen, roles"
                        " from auth.register($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                        11, values, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }

    if (strcmp(punit_rows_text(rows, 0, "status"), "201") != 0) {
        return punit_problem(r->arena, &name_taken, NULL);
    }

    punit_log(PUNIT_LOG_INFO, "registered", "request=%s user=%s", r->id != NULL ? r->id : "-",
              entry->user);
    return pair_answer(r, pair, rows, 201, a);
}


/* Claims the name for a user who does not exist yet, never for the user whom the directory names:
 * that user may have been erased since. The entry becomes that of the user who has the name. */
static punit_problem_t *
claim(punit_request_t *r, directory_entry_t *entry, directory_state_t *state)
{
    char proposed[PUNIT_UUID_SIZE];

    punit_uuid_new(proposed);
    entry->user = proposed;

    punit_problem_t *problem = directory_claim(r, entry);

    return problem != NULL ? problem : directory_state(r, entry, state);
}


punit_problem_t *
register_user(punit_request_t *r, punit_answer_t *a)
{
    directory_entry_t entry = { 0 };
    punit_problem_t  *problem;
    directory_state_t state = DIRECTORY_CLAIMED;
    char              password[ARGON_STR];

    problem = password_check(r, "password");
    if (problem == NULL) {
        problem = directory_find(r, &entry);
    }

    const char *who = problem == NULL ? attempt_name(r, entry.hash) : NULL;
    /* The attempt counts before the answer "taken", which slows down a client that tries a list of
     * addresses. */
    if (problem == NULL) {
        problem = attempt_take(r, who);
    }

    if (problem == NULL && entry.user != NULL) {
        problem = directory_state(r, &entry, &state);
        if (problem == NULL && state == DIRECTORY_SETTLED) {
            problem = punit_problem(r->arena, &name_taken, NULL);
        }
    }

    /* Hashing is slow, so it comes before the claim. */
    if (problem == NULL) {
        problem = password_hash(r, "password", password);
    }

    if (problem == NULL) {
        problem = claim(r, &entry, &state);
    }

    if (problem != NULL) {
        return problem;
    }

    switch (state) {
    case DIRECTORY_SETTLED:
        return punit_problem(r->arena, &name_taken, NULL);

    case DIRECTORY_ERASED:
        attempt_return(r, who, false);
        return punit_problem(r->arena, &punit_problem_try_later,
                             "the name's last user was erased just now");

    case DIRECTORY_CLAIMED:
        break;
    }

    if (strcmp(entry.unit, punit_config.unit) == 0) {
        problem = create_account(r, &entry, password, a);
        if (problem == NULL) {
            attempt_return(r, who, true);
        }

        return problem;
    }

    /* Another unit claimed the name, and its user is not known here yet. That unit finishes the
     * registration. */
    a->status = 421;
    a->owner_unit = entry.unit;
    a->owner_epoch = 1;
    return NULL;
}
