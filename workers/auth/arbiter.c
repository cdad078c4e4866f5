#include "auth/arbiter.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

#define WAIT_MS      2000 /* for a connection; for an answer */
#define KEPT_MAX     8    /* idle connections, to all units together */
#define KEYWORDS_MAX 64

struct punit_arbiters {
    const char     *unit;
    const char     *cert, *key, *ca;
    pthread_mutex_t lock;
    int             nkept;
    struct {
        char    unit[40];
        char   *conninfo; /* as punit.peer said; another one now: close it */
        PGconn *conn;
    } kept[KEPT_MAX];
};

struct punit_asked {
    const char        *unit;
    const char        *conninfo;
    PGconn            *conn;
    bool               reused; /* a kept connection, which may have died meanwhile */
    const char        *sql;
    int                n;
    const char *const *values;
};

static const punit_kind_t unit_unreachable = { 503, "unit-unreachable", "Unit Unreachable" };


punit_arbiters *
punit_arbiters_create(const char *unit, const char *cert, const char *key, const char *ca)
{
    punit_arbiters *arbiters = calloc(1, sizeof *arbiters);

    if (arbiters != NULL) {
        arbiters->unit = unit;
        arbiters->cert = cert;
        arbiters->key = key;
        arbiters->ca = ca;
        pthread_mutex_init(&arbiters->lock, NULL);
    }
    return arbiters;
}


static punit_problem_t *
unreachable(punit_request_t *r, const char *unit, const char *why)
{
    char quoted[300];

    punit_log(PUNIT_LOG_WARN, "arbiter-unreachable", "request=%s unit=%s why=%s",
              r->id != NULL ? r->id : "-", unit, punit_log_quote(quoted, sizeof quoted, why));
    return punit_problem(r->arena, &unit_unreachable,
                         "unit %s, which keeps this name, does not answer", unit);
}


/* ---- connections */


static PGconn *
take_kept(punit_arbiters *arbiters, const char *unit, const char *conninfo)
{
    PGconn *conn = NULL;

    pthread_mutex_lock(&arbiters->lock);
    for (int i = arbiters->nkept - 1; i >= 0 && conn == NULL; i--) {
        if (strcmp(arbiters->kept[i].unit, unit) != 0) {
            continue;
        }
        if (strcmp(arbiters->kept[i].conninfo, conninfo) == 0) {
            conn = arbiters->kept[i].conn;
        } else {
            PQfinish(arbiters->kept[i].conn);
        }
        free(arbiters->kept[i].conninfo);
        arbiters->kept[i] = arbiters->kept[--arbiters->nkept];
    }
    pthread_mutex_unlock(&arbiters->lock);
    return conn;
}


static void
keep(punit_arbiters *arbiters, const char *unit, const char *conninfo, PGconn *conn)
{
    bool kept = false;

    if (PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_IDLE) {
        pthread_mutex_lock(&arbiters->lock);
        if (arbiters->nkept < KEPT_MAX && strlen(unit) < sizeof arbiters->kept[0].unit) {
            char *copy = strdup(conninfo);
            if (copy != NULL) {
                strcpy(arbiters->kept[arbiters->nkept].unit, unit);
                arbiters->kept[arbiters->nkept].conninfo = copy;
                arbiters->kept[arbiters->nkept++].conn = conn;
                kept = true;
            }
        }
        pthread_mutex_unlock(&arbiters->lock);
    }
    if (!kept) {
        PQfinish(conn);
    }
}


/* Waits until the socket is ready for `events`; false at the deadline. */
static bool
wait_for(PGconn *conn, short events, int64_t deadline)
{
    struct pollfd p = { .fd = PQsocket(conn), .events = events };

    for (;;) {
        int64_t left = deadline - punit_clock_ms();
        if (left <= 0 || p.fd < 0) {
            return false;
        }
        int n = poll(&p, 1, (int) left);
        if (n > 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
    }
}


/* Keywords and values of a conninfo, with what it lacks of ours. */
typedef struct {
    int         n;
    const char *keyword[KEYWORDS_MAX + 1];
    const char *value[KEYWORDS_MAX + 1];
} parameters;


static const char *
given(const parameters *p, const char *keyword)
{
    for (int i = 0; i < p->n; i++) {
        if (strcmp(p->keyword[i], keyword) == 0) {
            return p->value[i];
        }
    }
    return NULL;
}


static void
complete(parameters *p, const char *keyword, const char *value)
{
    if (value != NULL && given(p, keyword) == NULL && p->n < KEYWORDS_MAX) {
        p->keyword[p->n] = keyword;
        p->value[p->n++] = value;
    }
}


static PGconn *
connect_start(const punit_arbiters *arbiters, punit_request_t *r, const char *conninfo)
{
    parameters p = { 0 };

    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (options == NULL) {
        return NULL;
    }
    for (PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (o->val != NULL) {
            complete(&p, o->keyword, o->val);
        }
    }
    complete(&p, "user", punit_format(r->arena, "punit_peer_%s", arbiters->unit));
    complete(&p, "sslmode", "verify-full");
    if (strcmp(given(&p, "sslmode"), "disable") != 0) {
        complete(&p, "sslcert", arbiters->cert);
        complete(&p, "sslkey", arbiters->key);
        complete(&p, "sslrootcert", arbiters->ca);
    }
    complete(&p, "application_name", "punit-auth");
    complete(&p, "tcp_user_timeout", "2000");
    complete(&p, "options", "-c search_path= -c statement_timeout=2s");

    PGconn *conn = PQconnectStartParams(p.keyword, p.value, 0);
    PQconninfoFree(options);
    return conn;
}


static PGconn *
open_connection(const punit_arbiters *arbiters, punit_request_t *r, const char *conninfo,
                const char **why)
{
    int64_t deadline = punit_clock_ms() + WAIT_MS;
    if (deadline > r->deadline) {
        deadline = r->deadline;
    }

    PGconn *conn = connect_start(arbiters, r, conninfo);
    if (conn == NULL) {
        *why = "conninfo of the peer is malformed";
        return NULL;
    }
    PostgresPollingStatusType state =
        PQstatus(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) {
            *why = punit_copy(r->arena, PQerrorMessage(conn));
            PQfinish(conn);
            return NULL;
        }
        if (!wait_for(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            *why = "no connection in time";
            PQfinish(conn);
            return NULL;
        }
        state = PQconnectPoll(conn);
    }
    if (PQsetnonblocking(conn, 1) != 0) {
        *why = "no memory";
        PQfinish(conn);
        return NULL;
    }
    return conn;
}


/* ---- asking */


static bool
send_statement(punit_asked *asked, int64_t deadline)
{
    if (!PQsendQueryParams(asked->conn, asked->sql, asked->n, NULL, asked->values, NULL, NULL, 0)) {
        return false;
    }
    for (;;) {
        int left = PQflush(asked->conn);
        if (left <= 0) {
            return left == 0;
        }
        if (!wait_for(asked->conn, POLLOUT, deadline)) {
            return false;
        }
    }
}


/* A new connection for it, and the statement on its way. */
static punit_problem_t *
ask_anew(punit_arbiters *arbiters, punit_request_t *r, punit_asked *asked)
{
    const char *why = "";

    asked->reused = false;
    asked->conn = open_connection(arbiters, r, asked->conninfo, &why);
    if (asked->conn == NULL) {
        return unreachable(r, asked->unit, why);
    }
    if (!send_statement(asked, r->deadline)) {
        punit_problem_t *problem = unreachable(r, asked->unit, PQerrorMessage(asked->conn));
        PQfinish(asked->conn);
        asked->conn = NULL;
        return problem;
    }
    return NULL;
}


punit_problem_t *
punit_arbiter_ask(punit_arbiters *arbiters, punit_request_t *r, const char *unit, const char *sql,
                  int n, const char *const *values, punit_asked **asked)
{
    PGresult *rows;

    punit_problem_t *problem =
        punit_query(r, "select pg, state from punit.peer where id = $1", 1, &unit, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }
    const char *conninfo = punit_column(rows, 0, "pg");
    if (conninfo == NULL) {
        return unreachable(r, unit, "it is no peer of this unit");
    }
    if (strcmp(punit_column(rows, 0, "state"), "down") == 0) {
        return unreachable(r, unit, "it is marked down");
    }

    punit_asked *q = punit_alloc(r->arena, sizeof *q);
    *q = (punit_asked){ .unit = unit,
                        .conninfo = conninfo,
                        .sql = sql,
                        .n = n,
                        .values = values,
                        .conn = take_kept(arbiters, unit, conninfo),
                        .reused = true };
    *asked = q;
    if (q->conn != NULL) {
        if (send_statement(q, r->deadline)) {
            return NULL;
        }
        PQfinish(q->conn);
        q->conn = NULL;
    }
    return ask_anew(arbiters, r, q);
}


static void
free_result(void *result)
{
    PQclear(result);
}


/* The one result; NULL: the connection is broken or too slow. */
static PGresult *
receive(PGconn *conn, int64_t deadline)
{
    PGresult *result = NULL, *next;

    for (;;) {
        while (PQisBusy(conn)) {
            if (!wait_for(conn, POLLIN, deadline) || !PQconsumeInput(conn)) {
                PQclear(result);
                return NULL;
            }
        }
        next = PQgetResult(conn);
        if (next == NULL) {
            return result;
        }
        PQclear(result);
        result = next;
    }
}


punit_problem_t *
punit_arbiter_answer(punit_arbiters *arbiters, punit_request_t *r, punit_asked *asked,
                     PGresult **rows)
{
    int64_t deadline = punit_clock_ms() + WAIT_MS;
    if (deadline > r->deadline) {
        deadline = r->deadline;
    }

    PGresult *result = receive(asked->conn, deadline);
    if (asked->reused && PQstatus(asked->conn) == CONNECTION_BAD) {
        /* the peer restarted since; what was asked may be asked twice */
        PQclear(result);
        PQfinish(asked->conn);
        punit_problem_t *problem = ask_anew(arbiters, r, asked);
        if (problem != NULL) {
            return problem;
        }
        result = receive(asked->conn, deadline);
    }
    if (result == NULL) {
        const char      *why = PQerrorMessage(asked->conn);
        punit_problem_t *problem =
            unreachable(r, asked->unit, *why != '\0' ? why : "no answer in time");
        PQfinish(asked->conn);
        return problem;
    }
    keep(arbiters, asked->unit, asked->conninfo, asked->conn);
    punit_arena_own(r->arena, free_result, result);

    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        *rows = result;
        return NULL;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != NULL && strcmp(state, "PU421") == 0) {
        punit_log(PUNIT_LOG_ERROR, "arbiter-disputed", "request=%s unit=%s",
                  r->id != NULL ? r->id : "-", asked->unit);
        return punit_problem(r->arena, &punit_try_later,
                             "the units do not agree who keeps this name");
    }
    return unreachable(r, asked->unit, PQresultErrorMessage(result));
}
