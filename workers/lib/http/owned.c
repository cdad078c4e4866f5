#include "lib/http/owned.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/http/sql.h"

#define WAIT_MS     2000
#define POLL_MIN_MS 5
#define POLL_MAX_MS 40
#define ANSWER_MS   500 /* kept back from the deadline for the answer itself */

static const char owner_of[] = "select state, unit, epoch, own_epoch from punit.owner_of($1)";

typedef struct {
    const char *state;
    const char *unit; /* the owner as this unit believes, NULL = unknown */
    long long   epoch;
    long long   own_epoch;
} owner_t;


static punit_problem_t *
ask_owner(punit_request_t *r, const char *user, owner_t *owner)
{
    PGresult        *rows;
    punit_problem_t *problem = punit_sql_query(r, owner_of, 1, &user, &rows, NULL);

    if (problem == NULL) {
        const char *state = punit_rows_text(rows, 0, "state");

        owner->state = state != NULL ? state : "COPY";
        owner->unit = punit_rows_text(rows, 0, "unit");
        owner->epoch = punit_rows_number(rows, 0, "epoch");
        owner->own_epoch = punit_rows_number(rows, 0, "own_epoch");
    }

    return problem;
}


/* The request's epoch says that the user is here or just arriving. A known owner of a later epoch
 * overrules that. */
static bool
is_arriving(const punit_request_t *r, const owner_t *owner)
{
    return r->epoch > owner->own_epoch && owner->epoch <= r->epoch;
}


punit_problem_t *
punit_owned_query(punit_request_t *r, const char *user, const char *sql, int n,
                  const char *const *values, PGresult **rows, punit_answer_t *a)
{
    return punit_owned_query_mixed(r, user, sql, n, values, NULL, rows, a);
}


punit_problem_t *
punit_owned_query_mixed(punit_request_t *r, const char *user, const char *sql, int n,
                        const char *const *values, const int *lengths, PGresult **rows,
                        punit_answer_t *a)
{
    int64_t until = punit_clock_ms() + WAIT_MS;
    long    pause = POLL_MIN_MS;

    if (until > r->deadline - ANSWER_MS) {
        until = r->deadline - ANSWER_MS;
    }

    for (;;) {
        punit_problem_t *problem = punit_sql_query_mixed(r, sql, n, values, lengths, rows, a);

        if (problem != NULL || *rows == NULL) {
            return problem;
        }

        if (PQntuples(*rows) > 0) {
            if (!r->stale) {
                a->owner_unit = punit_config.unit;
                a->owner_epoch = punit_rows_number(*rows, 0, "epoch");
            }

            return NULL;
        }

        *rows = NULL;

        owner_t owner;

        for (;;) {
            problem = ask_owner(r, user, &owner);
            if (problem != NULL) {
                return problem;
            }

            bool here = strcmp(owner.state, "OWNED") == 0;

            if (strcmp(owner.state, "ERASED") == 0 || owner.unit == NULL) {
                return punit_problem(r->arena, &punit_problem_unknown_user, NULL);
            }

            /* The request wants a copy because the owner is down, so a 421 would lead nowhere. */
            if (r->stale) {
                return punit_problem(r->arena, &punit_problem_try_later, "There is no copy here");
            }

            if (!here && !is_arriving(r, &owner) && strcmp(owner.unit, punit_config.unit) != 0) {
                a->status = 421;
                a->owner_unit = owner.unit;
                a->owner_epoch = owner.epoch;
                return NULL;
            }

            if (punit_clock_ms() + pause >= until) {
                return punit_problem(r->arena, &punit_problem_moving, NULL);
            }

            punit_clock_pause(pause);
            pause = pause * 2 > POLL_MAX_MS ? POLL_MAX_MS : pause * 2;

            if (here) {
                break;
            }
        }
    }
}
