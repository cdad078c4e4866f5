#include "lib/pg/statement.h"

#include <string.h>

#include "lib/base/clock.h"

#define TRIES_MAX 4

/* The beginning of a SQLSTATE. The first row that fits counts. */
static const struct {
    const char   *state;
    punit_retry_t retry;
} retries[] = {
    { "40001", PUNIT_RETRY_SAME },  { "40P01", PUNIT_RETRY_SAME }, { "0A000", PUNIT_RETRY_FRESH },
    { "26000", PUNIT_RETRY_FRESH }, { "57P", PUNIT_RETRY_READS },  { "08", PUNIT_RETRY_READS },
};


punit_retry_t
punit_statement_retry(const char *state)
{
    for (size_t i = 0; state != NULL && i < sizeof(retries) / sizeof(retries[0]); i++) {
        if (strncmp(state, retries[i].state, strlen(retries[i].state)) == 0) {
            return retries[i].retry;
        }
    }

    return PUNIT_RETRY_NO;
}


static void
free_result(void *result)
{
    PQclear(result);
}


/* One attempt. *again: another one does no harm. */
static punit_statement_rc_t
attempt(const punit_statement_t *s, bool checked, PGresult **result, bool *again)
{
    punit_connection_t *c;
    punit_take_t        taken = punit_pool_take(s->pool, s->deadline, checked, &c);

    *again = false;

    if (taken != PUNIT_TAKE_OK) {
        return taken == PUNIT_TAKE_BUSY ? PUNIT_STATEMENT_BUSY : PUNIT_STATEMENT_DOWN;
    }

    if (punit_pool_in_recovery(c) && !s->stale) {
        punit_pool_give(s->pool, c, false);
        return PUNIT_STATEMENT_RECOVERING;
    }

    punit_outcome_t outcome =
        punit_connection_execute(c, s->sql, s->n, s->values, s->lengths, s->deadline, result);
    bool unconfirmed = c->unconfirmed;

    if (outcome != PUNIT_DONE) {
        punit_pool_give(s->pool, c, true);

        if (outcome != PUNIT_NOT_SENT && !s->only_reads) {
            return PUNIT_STATEMENT_UNKNOWN;
        }

        *again = punit_clock_ms() < s->deadline;
        return *again ? PUNIT_STATEMENT_DOWN : PUNIT_STATEMENT_LATE;
    }

    punit_arena_own(s->arena, free_result, *result);

    if (unconfirmed) {
        punit_pool_give(s->pool, c, false);
        return PUNIT_STATEMENT_UNCONFIRMED;
    }

    ExecStatusType status = PQresultStatus(*result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        punit_pool_give(s->pool, c, false);
        return PUNIT_STATEMENT_DONE;
    }

    punit_retry_t retry = punit_statement_retry(PQresultErrorField(*result, PG_DIAG_SQLSTATE));

    punit_pool_give(s->pool, c, retry == PUNIT_RETRY_FRESH);
    *again = retry == PUNIT_RETRY_READS ? s->only_reads : retry != PUNIT_RETRY_NO;
    return PUNIT_STATEMENT_REFUSED;
}


punit_statement_rc_t
punit_statement_run(const punit_statement_t *s, PGresult **result)
{
    punit_statement_rc_t rc;
    bool                 again;

    for (int try = 1;; try++) {
        /* A read that finds its connection dead is sent again, so the first one is not checked. */
        rc = attempt(s, try > 1 || !s->only_reads, result, &again);

        if (!again || try == TRIES_MAX) {
            return rc;
        }

        if (rc == PUNIT_STATEMENT_REFUSED) {
            punit_clock_pause(try);
        }
    }
}
