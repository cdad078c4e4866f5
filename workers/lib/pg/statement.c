/* Statement: running one for a request, and what its errors mean. Declared in request.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/request.h"
#include "lib/http/route.h"
#include "lib/pg/pool.h"

#define TRIES_MAX 4
#define SHORT_MS  10000

typedef enum {
    ACT_PROBLEM, /* the kind, nothing of the message */
    ACT_SHORT,   /* the same: PostgreSQL lacks what an operator must give it */
    ACT_SAY,     /* the kind, the message is meant for the client; HINT may name the type */
    ACT_ERRORS,  /* the kind, DETAIL is the array of errors */
    ACT_AUTHOR,  /* 421, DETAIL is the unit that authored the row */
    ACT_REPEAT,  /* rolled back without fault: again, then the kind */
    ACT_RENEW,   /* this connection's plan is of an older schema: again on another, then the kind */
    ACT_COPIES,  /* the server only serves copies */
    ACT_UNKNOWN, /* the server ends: whether it committed is not known */
    ACT_MISTAKE, /* ours: logged, 500 */
} act_t;

typedef struct {
    const char         *state; /* SQLSTATE, or the beginning of one; the first that fits counts */
    act_t               act;
    const punit_kind_t *kind;
} sqlstate_t;

static const sqlstate_t sqlstates[] = {
    { "PU401", ACT_PROBLEM, &punit_unknown_user }, { "PU404", ACT_SAY, &punit_not_found },
    { "PU409", ACT_SAY, &punit_conflict },         { "PU421", ACT_AUTHOR, NULL },
    { "PU422", ACT_ERRORS, &punit_invalid },       { "PU503", ACT_PROBLEM, &punit_try_later },
    { "40001", ACT_REPEAT, &punit_try_later },     { "40P01", ACT_REPEAT, &punit_try_later },
    { "0A000", ACT_RENEW, &punit_internal },       { "26000", ACT_RENEW, &punit_internal },
    { "23505", ACT_PROBLEM, &punit_conflict },     { "23503", ACT_PROBLEM, &punit_conflict },
    { "23", ACT_PROBLEM, &punit_invalid },         { "22", ACT_PROBLEM, &punit_invalid },
    { "25006", ACT_COPIES, &punit_database_down }, { "57014", ACT_PROBLEM, &punit_try_later },
    { "55P03", ACT_PROBLEM, &punit_try_later },    { "53", ACT_SHORT, &punit_try_later },
    { "57P", ACT_UNKNOWN, &punit_database_down },  { "08", ACT_UNKNOWN, &punit_database_down },
    { "", ACT_MISTAKE, &punit_internal },
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


const char *
punit_column(const PGresult *rows, int row, const char *name)
{
    int column = PQfnumber(rows, name);

    if (column < 0 || row >= PQntuples(rows) || PQgetisnull(rows, row, column)) {
        return NULL;
    }

    return PQgetvalue(rows, row, column);
}


static void
free_result(void *result)
{
    PQclear(result);
}


static bool
is_safe(const punit_request_t *r)
{
    return strcmp(r->method, "GET") == 0;
}


/* The database did not answer, or only serves copies. To a peer this is 502, as if the unit were
 * not reached: the peer's front then asks its own, which may be the user's owner by now. Not where
 * it would do once more what may have been done: it sends again what ngx_http_punit_follow_again()
 * says. */
static punit_problem_t *
unanswered(const punit_request_t *r, const punit_kind_t *kind, const char *detail)
{
    punit_problem_t *problem = punit_problem(r->arena, kind, detail != NULL ? "%s" : NULL, detail);
    bool             repeatable =
        r->key != NULL || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "DELETE") == 0;

    if (r->from != NULL && (kind != &punit_unknown_outcome || repeatable)) {
        problem->status = 502;
    }

    return problem;
}


static void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
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

    punit_log(level, "statement-failed", "request=%s route=\"%s %s\" sqlstate=%s message=%s",
              r->id != NULL ? r->id : "-", r->route != NULL ? r->route->method : "-",
              r->route != NULL ? r->route->path : "-", state,
              punit_log_quote(quoted, sizeof(quoted),
                              PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}


/* What is lacking is lacking for every request: one line in SHORT_MS says so, and how many more met
 * it. */
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


/* The problem that an error stands for; NULL for a 421 that went into the answer. */
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
            punit_kind_t *own = punit_alloc(r->arena, sizeof(punit_kind_t));

            *own = (punit_kind_t){ kind->status, hint, kind->title };
            kind = own;
        }

        return punit_problem(r->arena, kind, "%s", message);

    case ACT_ERRORS:
        problem = punit_problem(r->arena, kind, NULL);
        problem->errors = detail;
        return problem;

    case ACT_PROBLEM:
    case ACT_REPEAT:
        log_error(r, PUNIT_LOG_WARN, state, result);
        return punit_problem(r->arena, kind, NULL);

    case ACT_COPIES:
        log_error(r, PUNIT_LOG_WARN, state, result);
        return unanswered(r, kind, NULL);

    case ACT_SHORT:
        log_shortage(r, state, result);
        return punit_problem(r->arena, kind, NULL);

    case ACT_UNKNOWN:
        return unanswered(r, is_safe(r) ? kind : &punit_unknown_outcome, NULL);

    case ACT_RENEW:
    case ACT_MISTAKE:
        break;
    }

    log_error(r, PUNIT_LOG_ERROR, state, result);
    return punit_problem(r->arena, &punit_internal, NULL);
}


punit_problem_t *
punit_query(punit_request_t *r, const char *sql, int n, const char *const *values, PGresult **rows,
            punit_answer_t *a)
{
    return punit_query_mixed(r, sql, n, values, NULL, rows, a);
}


punit_problem_t *
punit_query_mixed(punit_request_t *r, const char *sql, int n, const char *const *values,
                  const int *lengths, PGresult **rows, punit_answer_t *a)
{
    *rows = NULL;

    for (int try = 1;; try++) {
        punit_connection_t *c;
        PGresult           *result;
        /* A read that finds its connection dead is sent again. */
        bool         checked = try > 1 || !is_safe(r);
        punit_take_t taken = punit_database_take(r->database, r->deadline, checked, &c);

        if (taken != PUNIT_TAKE_OK) {
            return unanswered(r, taken == PUNIT_TAKE_BUSY ? &punit_try_later : &punit_database_down,
                              NULL);
        }

        if (punit_database_in_recovery(c) && !r->stale) {
            punit_database_give(r->database, c, false);
            return unanswered(r, &punit_database_down, "It only serves copies at the moment");
        }

        punit_outcome_t outcome =
            punit_connection_execute(c, sql, n, values, lengths, r->deadline, &result);
        bool unconfirmed = c->unconfirmed;

        if (outcome != PUNIT_DONE) {
            punit_database_give(r->database, c, true);

            if (outcome != PUNIT_NOT_SENT && !is_safe(r)) {
                return unanswered(r, &punit_unknown_outcome, NULL);
            }

            if (punit_clock_ms() >= r->deadline) {
                return unanswered(r, &punit_try_later, NULL);
            }

            if (try < TRIES_MAX) {
                continue;
            }

            return unanswered(r, &punit_database_down, NULL);
        }

        punit_arena_own(r->arena, free_result, result);

        if (unconfirmed) {
            punit_database_give(r->database, c, false);
            return punit_problem(r->arena, &punit_unknown_outcome, NULL);
        }

        if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
        {
            punit_database_give(r->database, c, false);
            *rows = result;
            return NULL;
        }

        const char       *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const sqlstate_t *s = find_state(state != NULL ? state : "");
        bool              renew = s->act == ACT_RENEW;

        punit_database_give(r->database, c, renew);

        if (try < TRIES_MAX
            && (renew || s->act == ACT_REPEAT || (s->act == ACT_UNKNOWN && is_safe(r)))) {
            pause_ms(try);
            continue;
        }

        return error_problem(r, s, state, result, a);
    }
}
