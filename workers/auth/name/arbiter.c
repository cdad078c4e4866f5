#include "auth/name/arbiter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/sql.h"
#include "lib/pg/connection.h"
#include "lib/pg/conninfo.h"
#include "lib/pg/wire.h"

#define WAIT_MS  2000 /* for a connection, and for an answer */
#define KEPT_MAX 8    /* idle connections, to all units together */
#define UNIT_MAX 40

#define SESSION_OPTIONS "-c search_path= -c statement_timeout=2s"

typedef struct {
    char                unit[UNIT_MAX];
    char               *pg; /* as punit.peer said; a connection is closed when that has changed */
    punit_connection_t *connection;
} kept_t;

struct arbiters {
    pthread_mutex_t lock;
    int             nkept;
    kept_t          kept[KEPT_MAX];
};

struct asked {
    const char         *unit;
    const char         *pg;
    punit_connection_t *connection;
    bool                reused; /* a kept connection, which may have broken meanwhile */
    const char         *sql;
    int                 n;
    const char *const  *values;
};

static const punit_kind_t unit_unreachable = { 503, "unit-unreachable", "Unit Unreachable" };


arbiters_t *
arbiter_create(void)
{
    arbiters_t *arbiters = calloc(1, sizeof(arbiters_t));

    if (arbiters != NULL) {
        pthread_mutex_init(&arbiters->lock, NULL);
    }

    return arbiters;
}


static punit_problem_t *
unreachable(punit_request_t *r, const char *unit, const char *why)
{
    char quoted[300];

    punit_log(PUNIT_LOG_WARN, "arbiter-unreachable", "request=%s unit=%s why=%s",
              r->id != NULL ? r->id : "-", unit, punit_log_quote(quoted, sizeof(quoted), why));
    return punit_problem(r->arena, &unit_unreachable,
                         "unit %s, which keeps this name, does not answer", unit);
}


/* A kept connection to the unit. Those of an older conninfo are closed. NULL when none is left. */
static punit_connection_t *
take_kept(arbiters_t *arbiters, const char *unit, const char *pg)
{
    punit_connection_t *connection = NULL;

    pthread_mutex_lock(&arbiters->lock);

    for (int i = arbiters->nkept - 1; i >= 0 && connection == NULL; i--) {
        kept_t *kept = &arbiters->kept[i];

        if (strcmp(kept->unit, unit) != 0) {
            continue;
        }

        if (strcmp(kept->pg, pg) == 0) {
            connection = kept->connection;
        } else {
            punit_connection_close(kept->connection);
        }

        free(kept->pg);
        *kept = arbiters->kept[--arbiters->nkept];
    }

    pthread_mutex_unlock(&arbiters->lock);
    return connection;
}


/* Keeps the connection for the next request, or closes it. */
static void
keep(arbiters_t *arbiters, const asked_t *asked)
{
    punit_connection_t *c = asked->connection;
    bool  usable = PQstatus(c->pg) == CONNECTION_OK && PQtransactionStatus(c->pg) == PQTRANS_IDLE;
    char *pg = usable && strlen(asked->unit) < UNIT_MAX ? strdup(asked->pg) : NULL;

    pthread_mutex_lock(&arbiters->lock);

    if (pg != NULL && arbiters->nkept < KEPT_MAX) {
        kept_t *kept = &arbiters->kept[arbiters->nkept++];

        strcpy(kept->unit, asked->unit);
        kept->pg = pg;
        kept->connection = c;
        pg = NULL;
        c = NULL;
    }

    pthread_mutex_unlock(&arbiters->lock);
    free(pg);
    punit_connection_close(c);
}


/* The deadline of one wait for the unit. */
static int64_t
wait_until(const punit_request_t *r)
{
    int64_t until = punit_clock_ms() + WAIT_MS;

    return until < r->deadline ? until : r->deadline;
}


/* Opens a connection and sends the statement over it. */
static punit_problem_t *
ask_anew(punit_request_t *r, asked_t *asked)
{
    const punit_identity_t self = punit_conninfo_identity();
    char *conninfo = punit_conninfo_peer(asked->pg, &self, "punit-auth", SESSION_OPTIONS);
    char  why[300];

    asked->reused = false;

    if (conninfo == NULL) {
        return unreachable(r, asked->unit, "its conninfo in punit.peer is malformed");
    }

    asked->connection = punit_connection_open(conninfo, wait_until(r), why, sizeof(why));
    free(conninfo);

    if (asked->connection == NULL) {
        return unreachable(r, asked->unit, why);
    }

    if (!punit_wire_send(asked->connection->pg, asked->sql, asked->n, asked->values, r->deadline)) {
        punit_wire_line(why, sizeof(why), PQerrorMessage(asked->connection->pg));
        punit_connection_close(asked->connection);
        asked->connection = NULL;
        return unreachable(r, asked->unit, why);
    }

    return NULL;
}


punit_problem_t *
arbiter_ask(arbiters_t *arbiters, punit_request_t *r, const char *unit, const char *sql, int n,
            const char *const *values, asked_t **asked)
{
    PGresult        *rows;
    punit_problem_t *problem =
        punit_sql_query(r, "select pg, state from punit.peer where id = $1", 1, &unit, &rows, NULL);

    if (problem != NULL) {
        return problem;
    }

    const char *pg = punit_rows_text(rows, 0, "pg");

    if (pg == NULL) {
        return unreachable(r, unit, "it is no peer of this unit");
    }

    if (strcmp(punit_rows_text(rows, 0, "state"), "down") == 0) {
        return unreachable(r, unit, "it is marked down");
    }

    asked_t *q = punit_arena_alloc(r->arena, sizeof(asked_t));

    *q = (asked_t){
        .unit = unit,
        .pg = pg,
        .connection = take_kept(arbiters, unit, pg),
        .reused = true,
        .sql = sql,
        .n = n,
        .values = values,
    };
    *asked = q;

    if (q->connection != NULL) {
        if (punit_wire_send(q->connection->pg, sql, n, values, r->deadline)) {
            return NULL;
        }

        punit_connection_close(q->connection);
    }

    return ask_anew(r, q);
}


static void
free_result(void *result)
{
    PQclear(result);
}


/* The result of what was sent. NULL when it has not come by the deadline. A peer is not asked to
 * cancel: the request for that would go in clear text. */
static PGresult *
receive(punit_request_t *r, asked_t *asked, int64_t deadline)
{
    PGresult *result = NULL;

    if (punit_wire_collect(asked->connection->pg, deadline, &result) != PUNIT_WIRE_READY) {
        PQclear(result);
        return NULL;
    }

    if (result != NULL) {
        punit_arena_own(r->arena, free_result, result);
    }

    return result;
}


punit_problem_t *
arbiter_answer(arbiters_t *arbiters, punit_request_t *r, asked_t *asked, PGresult **rows)
{
    int64_t   deadline = wait_until(r);
    PGresult *result = receive(r, asked, deadline);

    /* The peer has restarted since. What is asked may be asked twice. */
    if (asked->reused && PQstatus(asked->connection->pg) == CONNECTION_BAD) {
        punit_connection_close(asked->connection);

        punit_problem_t *problem = ask_anew(r, asked);

        if (problem != NULL) {
            return problem;
        }

        result = receive(r, asked, deadline);
    }

    if (result == NULL) {
        punit_connection_close(asked->connection);
        return unreachable(r, asked->unit, "no answer in time");
    }

    keep(arbiters, asked);

    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        *rows = result;
        return NULL;
    }

    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (state != NULL && strcmp(state, "PU421") == 0) {
        punit_log(PUNIT_LOG_ERROR, "arbiter-disputed", "request=%s unit=%s",
                  r->id != NULL ? r->id : "-", asked->unit);
        return punit_problem(r->arena, &punit_problem_try_later,
                             "the units do not agree who keeps this name");
    }

    return unreachable(r, asked->unit, PQresultErrorMessage(result));
}
