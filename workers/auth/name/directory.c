#include "auth/name/directory.h"

#include <string.h>

#include "auth/auth.h"
#include "lib/base/email.h"
#include "lib/pg/bytea.h"

static const char claim_statement[] = "select user_id, unit from auth.claim_name($1, $2, $3)";


punit_problem_t *
directory_find(punit_request_t *r, directory_entry_t *entry)
{
    char          email[PUNIT_EMAIL_MAX + 1];
    unsigned char hash[PUNIT_PEPPER_HASH];
    PGresult     *rows;
    const char   *given = punit_request_member(r, "email");

    memset(entry, 0, sizeof(*entry));
    if (punit_email_normalise(given, strlen(given), email) != NULL) {
        return punit_problem(r->arena, &punit_problem_invalid, NULL);
    }

    punit_pepper_hash(&auth.pepper, email, hash);
    entry->hash = punit_bytea_text(r->arena, hash, sizeof(hash));

    punit_problem_t *problem =
        punit_sql_query(r, "select user_id, unit, arbiter from auth.find_name($1)", 1, &entry->hash,
                        &rows, NULL);
    if (problem != NULL) {
        return problem;
    }

    entry->user = punit_rows_text(rows, 0, "user_id");
    entry->unit = punit_rows_text(rows, 0, "unit");
    entry->arbiter = punit_rows_text(rows, 0, "arbiter");
    if (entry->arbiter == NULL) {
        punit_log(PUNIT_LOG_ERROR, "no-arbiter", "request=%s", r->id != NULL ? r->id : "-");
        return punit_problem(r->arena, &punit_problem_try_later, "no unit keeps this name yet");
    }

    return NULL;
}


bool
directory_is_remote(const directory_entry_t *entry)
{
    return strcmp(entry->arbiter, punit_config.unit) != 0;
}


punit_problem_t *
directory_claim(punit_request_t *r, directory_entry_t *entry)
{
    const char      *values[] = { entry->hash, entry->user, punit_config.unit };
    PGresult        *rows = NULL;
    punit_problem_t *problem;

    if (directory_is_remote(entry)) {
        asked_t *asked;
        problem = arbiter_ask(auth.arbiters, r, entry->arbiter, claim_statement, 3, values, &asked);
        if (problem == NULL) {
            problem = arbiter_answer(auth.arbiters, r, asked, &rows);
        }
    } else {
        punit_answer_t refused = { 0 };
        problem = punit_sql_query(r, claim_statement, 3, values, &rows, &refused);
        if (problem == NULL && rows == NULL) {
            /* The bucket has gone to another unit since it was looked up. */
            problem = punit_problem(r->arena, &punit_problem_try_later, NULL);
        }
    }

    if (problem == NULL) {
        entry->user = punit_rows_text(rows, 0, "user_id");
        entry->unit = punit_rows_text(rows, 0, "unit");
        if (entry->user == NULL || entry->unit == NULL) {
            problem = punit_problem(r->arena, &punit_problem_internal, NULL);
        }
    }

    return problem;
}


punit_problem_t *
directory_state(punit_request_t *r, const directory_entry_t *entry, directory_state_t *state)
{
    PGresult *rows;

    punit_problem_t *problem =
        punit_sql_query(r,
                        "select state = 'ERASED' as erased, unit is not null as settled"
                        "  from punit.owner_of($1)",
                        1, &entry->user, &rows, NULL);
    if (problem == NULL) {
        *state = *punit_rows_text(rows, 0, "erased") == 't'    ? DIRECTORY_ERASED
                 : *punit_rows_text(rows, 0, "settled") == 't' ? DIRECTORY_SETTLED
                                                               : DIRECTORY_CLAIMED;
    }

    return problem;
}
