#include "lib/http/sql.h"

#include <stdatomic.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pg/statement.h"

#define SHORT_MS 10000

typedef enum {
    ACT_PROBLEM, /* the kind, and nothing of the message */
    ACT_VALUE,   /* the same, of a write; a read sends no value, and is a mistake */
    ACT_SHORT,   /* the same: PostgreSQL lacks what an operator must give it */
    ACT_SAY,     /* the kind, with the message for the client; HINT may name the type */
    ACT_ERRORS,  /* the kind, with DETAIL as the array of errors */
    ACT_AUTHOR,  /* 421: DETAIL is the unit that authored the row */
    ACT_COPIES,  /* the server only serves copies */
    ACT_UNKNOWN, /* the server ends: whether it committed is unknown */
    ACT_MISTAKE, /* a fault of this system: logged, 500 */
} act_t;

typedef struct {
    const char         *state; /* the beginning of a SQLSTATE; the first row that fits counts */
    act_t               act;
    const punit_kind_t *kind;
} sqlstate_t;

static const sqlstate_t sqlstates[] = {
    { "PU401", ACT_PROBLEM, &punit_problem_unknown_user },
    { "PU404", ACT_SAY, &punit_problem_not_found },
    { "PU409", ACT_SAY, &punit_problem_conflict },
    { "PU421", ACT_AUTHOR, NULL },
    { "PU422", ACT_ERRORS, &punit_problem_invalid },
    { "PU503", ACT_PROBLEM, &punit_problem_try_later },
    { "40001", ACT_PROBLEM, &punit_problem_try_later },
    { "40P01", ACT_PROBLEM, &punit_problem_try_later },
    { "23505", ACT_VALUE, &punit_problem_conflict },
    { "23503", ACT_VALUE, &punit_problem_conflict },
    { "23", ACT_VALUE, &punit_problem_invalid },
    { "22", ACT_VALUE, &punit_problem_invalid },
    { "25006", ACT_COPIES, &punit_problem_database_down },
    { "57014", ACT_PROBLEM, &punit_problem_try_later },
    { "55P03", ACT_PROBLEM, &punit_problem_try_later },
    { "53", ACT_SHORT, &punit_problem_try_later },
    { "57P", ACT_UNKNOWN, &punit_problem_database_down },
    { "08", ACT_UNKNOWN, &punit_problem_database_down },
    { "", ACT_MISTAKE, &punit_problem_internal },
};


static const sqlstate_t *
find_state(const char *state)
{
    const sqlstate_t *s = sqlstates;

    while (strncmp(state, s->state, strlen(s->state)) != 0) {
        s++;
    }

    return s;
}


static bool
only_reads(const punit_request_t *r)
{
    return strcmp(r->method, "GET") == 0;
}


/* The database did not answer, or only serves copies. A peer gets 502, as if it had not reached
 * this unit. The front of the peer then asks its own unit, which may own the user by now. A request
 * that may have been done gets 502 only if the front may send it again: with an Idempotency-Key,
 * PUT or DELETE. */
static punit_problem_t *
unanswered(const punit_request_t *r, const punit_kind_t *kind, const char *detail)
{
    punit_problem_t *problem = punit_problem(r->arena, kind, detail != NULL ? "%s" : NULL, detail);
    bool             repeatable =
        r->key != NULL || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "DELETE") == 0;

    if (r->from != NULL && (kind != &punit_problem_unknown_outcome || repeatable)) {
        problem->status = 502;
    }

    return problem;
}


static bool
is_slug(const char *text)
{
    return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}


static void
log_error(const punit_request_t *r, int level, const char *state, const PGresult *result)
{
    char quoted[400];

    punit_log(level, "statement-failed", "request=%s route=\"%s\" sqlstate=%s message=%s",
              r->id != NULL ? r->id : "-", punit_request_route(r), state,
              punit_log_quote(quoted, sizeof(quoted),
                              PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}


/* A shortage hits every request, so one line in SHORT_MS reports it. The line counts those that it
 * stands for. */
static void
log_shortage(const punit_request_t *r, const char *state, const PGresult *result)
{
    static const struct {
        const char *state;
        const char *advice;
    } shortages[] = {
        { "53100", "make room on the disk of PostgreSQL" },
        { "53200", "give PostgreSQL more memory, or fewer connections" },
        { "53300", "raise max_connections of PostgreSQL, or lower PUNIT_PG_POOL" },
        { "53", "see the log of PostgreSQL" },
    };
    static _Atomic int64_t said_at;
    static _Atomic long    unsaid;
    int64_t                now = punit_clock_ms(), before = said_at;
    char                   quoted[400];
    size_t                 i = 0;

    if ((before != 0 && now - before < SHORT_MS)
        || !atomic_compare_exchange_strong(&said_at, &before, now))
    {
        unsaid++;
        return;
    }

    while (strncmp(state, shortages[i].state, strlen(shortages[i].state)) != 0) {
        i++;
    }

    punit_log(PUNIT_LOG_ERROR, "database-short",
              "request=%s sqlstate=%s message=%s do=\"%s\" more=%ld", r->id != NULL ? r->id : "-",
              state,
              punit_log_quote(quoted, sizeof(quoted),
                              PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)),
              shortages[i].advice, atomic_exchange(&unsaid, 0));
}


/* The problem that an error stands for. NULL for a 421, which is in the answer. */
static punit_problem_t *
error_problem(punit_request_t *r, const sqlstate_t *s, const char *state, const PGresult *result,
              punit_answer_t *a)
{
    const char         *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char         *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char         *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const punit_kind_t *kind = s->kind;
    punit_problem_t    *problem;

    switch (s->act) {
    case ACT_AUTHOR:
        if (a != NULL && detail != NULL) {
            a->status = 421;
            a->author = detail;
            return NULL;
        }

        break;

    case ACT_SAY:
        if (hint != NULL && is_slug(hint)) {
            punit_kind_t *own = punit_arena_alloc(r->arena, sizeof(punit_kind_t));

            *own = (punit_kind_t){ kind->status, hint, kind->title };
            kind = own;
        }

        return punit_problem(r->arena, kind, "%s", message);

    case ACT_ERRORS:
        problem = punit_problem(r->arena, kind, NULL);
        problem->errors = detail;
        return problem;

    case ACT_VALUE:
        if (only_reads(r)) {
            break;
        }

        log_error(r, PUNIT_LOG_WARN, state, result);
        return punit_problem(r->arena, kind, NULL);

    case ACT_PROBLEM:
        log_error(r, PUNIT_LOG_WARN, state, result);
        return punit_problem(r->arena, kind, NULL);

    case ACT_COPIES:
        log_error(r, PUNIT_LOG_WARN, state, result);
        return unanswered(r, kind, NULL);

    case ACT_SHORT:
        log_shortage(r, state, result);
        return punit_problem(r->arena, kind, NULL);

    case ACT_UNKNOWN:
        return unanswered(r, only_reads(r) ? kind : &punit_problem_unknown_outcome, NULL);

    case ACT_MISTAKE:
        break;
    }

    log_error(r, PUNIT_LOG_ERROR, state, result);
    return punit_problem(r->arena, &punit_problem_internal, NULL);
}


punit_problem_t *
punit_sql_query(punit_request_t *r, const char *sql, int n, const char *const *values,
                PGresult **rows, punit_answer_t *a)
{
    return punit_sql_query_mixed(r, sql, n, values, NULL, rows, a);
}


punit_problem_t *
punit_sql_query_mixed(punit_request_t *r, const char *sql, int n, const char *const *values,
                      const int *lengths, PGresult **rows, punit_answer_t *a)
{
    const punit_statement_t s = {
        .arena = r->arena,
        .pool = r->pool,
        .deadline = r->deadline,
        .only_reads = only_reads(r),
        .stale = r->stale,
        .sql = sql,
        .n = n,
        .values = values,
        .lengths = lengths,
    };
    PGresult   *result = NULL;
    const char *state;

    *rows = NULL;

    switch (punit_statement_run(&s, &result)) {
    case PUNIT_STATEMENT_DONE:
        *rows = result;
        return NULL;

    case PUNIT_STATEMENT_REFUSED:
        state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        return error_problem(r, find_state(state != NULL ? state : ""), state, result, a);

    case PUNIT_STATEMENT_UNCONFIRMED:
        return punit_problem(r->arena, &punit_problem_unknown_outcome, NULL);

    case PUNIT_STATEMENT_UNKNOWN:
        return unanswered(r, &punit_problem_unknown_outcome, NULL);

    case PUNIT_STATEMENT_BUSY:
    case PUNIT_STATEMENT_LATE:
        return unanswered(r, &punit_problem_try_later, NULL);

    case PUNIT_STATEMENT_RECOVERING:
        return unanswered(r, &punit_problem_database_down, "It only serves copies at the moment");

    case PUNIT_STATEMENT_DOWN:
        break;
    }

    return unanswered(r, &punit_problem_database_down, NULL);
}
