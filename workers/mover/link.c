#include "mover/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "mover/stop.h"

/* the longest a wait goes on without looking whether the process stops */
#define SLICE_MS 100

/* the round trip is the shortest of so many */
#define TRIPS 3


static void
set_error(link_t *link, const char *sqlstate, const char *text)
{
    snprintf(link->sqlstate, sizeof(link->sqlstate), "%s", sqlstate ? sqlstate : "");
    snprintf(link->error, sizeof(link->error), "%s", text && *text ? text : "no answer");

    /* libpq ends and folds its messages with newlines */
    for (char *p = link->error; *p != '\0'; p++) {
        if (*p == '\n') {
            *p = p[1] == '\0' ? '\0' : ' ';
        }
    }
}


/* Waits for the socket; false after timeout_ms of silence or at the end of the process. */
static bool
wait_for(link_t *link, short events)
{
    long end = punit_clock_ms() + link->timeout_ms;

    for (;;) {
        struct pollfd p = { .fd = PQsocket(link->pg), .events = events };
        int           n = poll(&p, 1, SLICE_MS);

        if (n > 0) {
            return true;
        }

        if (n < 0 && errno != EINTR) {
            set_error(link, NULL, strerror(errno));
            return false;
        }

        if (stop_now()) {
            set_error(link, NULL, "the mover stops");
            return false;
        }

        if (punit_clock_ms() >= end) {
            set_error(link, NULL, "no answer in time");
            return false;
        }
    }
}


/* What a server says besides results (that it shuts down, say) shows in the results too. */
static void
no_notice(void *unused, const char *text)
{
    (void) unused;
    (void) text;
}


bool
link_open(link_t *link, const char *conninfo, long timeout_ms)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    link->timeout_ms = timeout_ms;
    link->error[0] = '\0';
    link->nprepared = 0;
    link->trip_ms = 0;
    link->pg = PQconnectStart(conninfo);

    if (link->pg == NULL) {
        set_error(link, NULL, "out of memory");
        return false;
    }

    PQsetNoticeProcessor(link->pg, no_notice, NULL);

    while (PQstatus(link->pg) != CONNECTION_BAD && status != PGRES_POLLING_OK
           && status != PGRES_POLLING_FAILED)
    {
        if (!wait_for(link, status == PGRES_POLLING_READING ? POLLIN : POLLOUT)) {
            link_close(link);
            return false;
        }

        status = PQconnectPoll(link->pg);
    }

    if (PQstatus(link->pg) != CONNECTION_OK) {
        set_error(link, NULL, PQerrorMessage(link->pg));
        link_close(link);
        return false;
    }

    return true;
}


void
link_close(link_t *link)
{
    if (link->pg != NULL) {
        PQfinish(link->pg);
        link->pg = NULL;
    }
}


bool
link_ready(const link_t *link)
{
    return link->pg != NULL && PQstatus(link->pg) == CONNECTION_OK
           && PQtransactionStatus(link->pg) == PQTRANS_IDLE;
}


static bool
lost(link_t *link)
{
    set_error(link, NULL, PQerrorMessage(link->pg));
    link_close(link);
    return false;
}


bool
link_send(link_t *link, const char *sql)
{
    link->error[0] = '\0';
    link->idle_ms += link->trip_ms;
    return PQsendQuery(link->pg, sql) ? true : lost(link);
}


PGresult *
link_next(link_t *link)
{
    link->error[0] = '\0';

    while (PQisBusy(link->pg)) {
        if (!wait_for(link, POLLIN)) {
            /* what the other side does is unknown now; a kept connection would answer the next
             * question with it */
            link_close(link);
            return NULL;
        }

        if (!PQconsumeInput(link->pg)) {
            lost(link);
            return NULL;
        }
    }

    PGresult *result = PQgetResult(link->pg);

    if (result == NULL) {
        return NULL;
    }

    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_PIPELINE_SYNC:
        return result;
    default:
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        bool        ours = sqlstate != NULL && strncmp(sqlstate, "PU", 2) == 0;

        /* what this system's own functions raise is an answer, without severity and context */
        set_error(link, sqlstate,
                  ours ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                       : PQresultErrorMessage(result));
        PQclear(result);

        if (PQstatus(link->pg) != CONNECTION_OK) {
            link_close(link);
        }

        return NULL;
    }
}


int
link_copy_line(link_t *link, char **line)
{
    for (;;) {
        int n = PQgetCopyData(link->pg, line, 1);

        if (n > 0) {
            if (link->pause != NULL) {
                link->pause(link->pause_of);
            }

            return n;
        }

        if (n == -1) {
            return 0;
        }

        if (n == -2) {
            set_error(link, NULL, PQerrorMessage(link->pg));
            return -1;
        }

        if (!wait_for(link, POLLIN)) {
            link_close(link);
            return -1;
        }

        if (!PQconsumeInput(link->pg)) {
            lost(link);
            return -1;
        }
    }
}


/* Reads what is left of the query; false when the link was lost over it. */
static bool
drain(link_t *link)
{
    PGresult *result;
    char     *line;
    int       n;

    for (;;) {
        result = link_next(link);

        if (link->pg == NULL) {
            return false;
        }

        if (result == NULL) {
            if (link->error[0] == '\0') {
                return true;
            }

            continue;
        }

        if (PQresultStatus(result) == PGRES_COPY_OUT) {
            while ((n = link_copy_line(link, &line)) > 0) {
                PQfreemem(line);
            }

            if (link->pg == NULL) {
                PQclear(result);
                return false;
            }

        } else if (PQresultStatus(result) == PGRES_COPY_IN) {
            PQputCopyEnd(link->pg, "abandoned");
        }

        PQclear(result);
    }
}


void
link_settle(link_t *link)
{
    char error[sizeof(link->error)];
    char sqlstate[sizeof(link->sqlstate)];

    if (link->pg == NULL) {
        return;
    }

    /* the caller still wants to know what went wrong */
    memcpy(error, link->error, sizeof(error));
    memcpy(sqlstate, link->sqlstate, sizeof(sqlstate));

    if (drain(link) && PQtransactionStatus(link->pg) != PQTRANS_IDLE) {
        if (!link_send(link, "rollback") || !drain(link)
            || PQtransactionStatus(link->pg) != PQTRANS_IDLE) {
            link_close(link);
        }
    }

    memcpy(link->error, error, sizeof(error));
    memcpy(link->sqlstate, sqlstate, sizeof(sqlstate));
}


/* The one result of a query just sent. */
static PGresult *
only_result(link_t *link)
{
    PGresult *result = link_next(link);
    PGresult *end;

    if (result == NULL) {
        if (link->error[0] == '\0') {
            set_error(link, NULL, "no result");
        }

        if (link->pg != NULL) {
            char keep[sizeof(link->error)];

            memcpy(keep, link->error, sizeof(keep));
            drain(link);
            memcpy(link->error, keep, sizeof(keep));
        }

        return NULL;
    }

    ExecStatusType status = PQresultStatus(result);

    /* a COPY begins: its end is the caller's */
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
        return result;
    }

    while ((end = link_next(link)) != NULL) {
        PQclear(end);
    }

    if (link->error[0] != '\0') {
        PQclear(result);
        return NULL;
    }

    return result;
}


/* Parsed and planned once for all users. Gives its name in `name`; "" when the connection keeps
 * enough of them already. False on an error. */
static bool
prepare(link_t *link, const char *sql, int n, char name[12])
{
    int i = 0;

    name[0] = '\0';

    while (i < link->nprepared && link->prepared[i] != sql) {
        i++;
    }

    if (i == LINK_STATEMENTS) {
        return true;
    }

    snprintf(name, 12, "s%d", i);

    if (i < link->nprepared) {
        return true;
    }

    if (!PQsendPrepare(link->pg, name, sql, n, NULL)) {
        return lost(link);
    }

    PGresult *r = only_result(link);

    if (r == NULL) {
        return false;
    }

    PQclear(r);
    link->prepared[link->nprepared++] = sql;
    return true;
}


static bool
send_call(link_t *link, const char *name, const char *sql, int n, const char *const *values)
{
    int sent = *name ? PQsendQueryPrepared(link->pg, name, n, values, NULL, NULL, 0)
                     : PQsendQueryParams(link->pg, sql, n, NULL, values, NULL, NULL, 0);

    return sent ? true : lost(link);
}


PGresult *
link_call(link_t *link, const char *sql, int n, const char *const *values)
{
    char name[12];

    if (n == 0) {
        /* in one message instead of five: a COPY for each table is no little */
        if (!link_send(link, sql)) {
            return NULL;
        }

        return only_result(link);
    }

    link->error[0] = '\0';
    link->idle_ms += link->trip_ms;

    if (!prepare(link, sql, n, name) || !send_call(link, name, sql, n, values)) {
        return NULL;
    }

    PGresult *result = only_result(link);

    /* what a function returns was changed by an upgrade: the statements of another connection know
     * it as it is now */
    if (result == NULL && *name != '\0' && strcmp(link->sqlstate, "0A000") == 0) {
        link_close(link);
    }

    return result;
}


PGresult *
link_begin(link_t *link, const char *sql, int n, const char *const *values)
{
    PGresult *result = NULL;
    char      error[sizeof(link->error)] = "";
    char      sqlstate[sizeof(link->sqlstate)] = "";
    char      name[12];

    link->error[0] = '\0';
    link->idle_ms += link->trip_ms;

    if (!prepare(link, sql, n, name)) {
        return NULL;
    }

    if (!PQenterPipelineMode(link->pg)) {
        lost(link);
        return NULL;
    }

    if (!send_call(link, "", "begin", 0, NULL) || !send_call(link, name, sql, n, values)) {
        return NULL;
    }

    if (!PQpipelineSync(link->pg)) {
        lost(link);
        return NULL;
    }

    for (;;) {
        PGresult *next = link_next(link);

        if (link->pg == NULL) {
            PQclear(result);
            return NULL;
        }

        if (next == NULL) {
            /* the end of one statement's results; or an error, the first of which is why the rest
             * did not run */
            if (link->error[0] != '\0' && error[0] == '\0') {
                memcpy(error, link->error, sizeof(error));
                memcpy(sqlstate, link->sqlstate, sizeof(sqlstate));
            }

            continue;
        }

        if (PQresultStatus(next) == PGRES_PIPELINE_SYNC) {
            PQclear(next);
            break;
        }

        PQclear(result);
        result = next;
    }

    PQexitPipelineMode(link->pg);

    if (error[0] == '\0') {
        return result;
    }

    memcpy(link->error, error, sizeof(error));
    memcpy(link->sqlstate, sqlstate, sizeof(sqlstate));
    PQclear(result);
    return NULL;
}


bool
link_run(link_t *link, const char *sql)
{
    PGresult *result;

    if (!link_send(link, sql)) {
        return false;
    }

    while ((result = link_next(link)) != NULL) {
        PQclear(result);
    }

    if (link->error[0] == '\0') {
        return true;
    }

    if (link->pg != NULL) {
        char keep[sizeof(link->error)];

        memcpy(keep, link->error, sizeof(keep));
        drain(link);
        memcpy(link->error, keep, sizeof(keep));
    }

    return false;
}


bool
link_measure(link_t *link)
{
    double best_ms = 0;

    for (int i = 0; i < TRIPS; i++) {
        double began = punit_clock_s();

        if (!link_run(link, "")) {
            return false;
        }

        double ms = (punit_clock_s() - began) * 1e3;

        if (i == 0 || ms < best_ms) {
            best_ms = ms;
        }
    }

    link->trip_ms = best_ms > 0 ? best_ms : 0;
    return true;
}


bool
link_error_passes(const link_t *link)
{
    /* PostgreSQL, appendix A: connection, transaction rollback, resources, operator intervention,
     * locks */
    static const char *const classes[] = { "08", "40", "53", "57", "58", "55P03", "25P03" };

    if (link->pg == NULL || link->sqlstate[0] == '\0') {
        return true;
    }

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(link->sqlstate, classes[i], strlen(classes[i])) == 0) {
            return true;
        }
    }

    return false;
}
