#include "mover/link.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/pg/wire.h"
#include "mover/stop.h"

#define TRIPS 3 /* the shortest of so many is the round trip */


static void
set_error(link_t *link, const char *sqlstate, const char *text)
{
    snprintf(link->sqlstate, sizeof(link->sqlstate), "%s", sqlstate ? sqlstate : "");
    punit_wire_line(link->error, sizeof(link->error), text && *text ? text : "no answer");
}


/* Waits for the socket. False after timeout_ms of silence, or at the end of the process. */
static bool
wait_for(link_t *link, short events)
{
    switch (punit_wire_wait(link->pg, events, punit_clock_ms() + link->timeout_ms, stop_now)) {
    case PUNIT_WIRE_READY:
        return true;

    case PUNIT_WIRE_LATE:
        set_error(link, NULL, "no answer in time");
        break;

    case PUNIT_WIRE_BROKEN:
        set_error(link, NULL, "the connection broke");
        break;

    case PUNIT_WIRE_STOPPED:
        set_error(link, NULL, "the mover stops");
        break;
    }

    return false;
}


/* What a server says besides results, for instance that it shuts down, shows in the results too. */
static void
no_notice(void *unused, const char *text)
{
    (void) unused;
    (void) text;
}


bool
link_open(link_t *link, const char *conninfo, long timeout_ms)
{
    link->timeout_ms = timeout_ms;
    link->sqlstate[0] = '\0';
    link->error[0] = '\0';
    link->nprepared = 0;
    link->trip_ms = 0;
    link->pg = punit_wire_open(conninfo, punit_clock_ms() + timeout_ms, stop_now, link->error,
                               sizeof(link->error));

    if (link->pg == NULL) {
        return false;
    }

    /* The rows of a COPY are sent in blocking mode. The conninfo's timeouts bound that. */
    PQsetnonblocking(link->pg, 0);
    PQsetNoticeProcessor(link->pg, no_notice, NULL);
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
            /* The state of the other side is unknown now. A connection that was kept would answer
             * the next statement with the result of this one. */
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

        /* An error that this system's functions raise is an answer: only its message counts. */
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


/* Reads what is left of the query. False when the link is lost on the way. */
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

    /* The caller still needs the first error. */
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

    /* A COPY begins, and the caller ends it. */
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


/* Has the server parse the statement once for all users, and gives its name. The name is "" when
 * the connection already keeps LINK_STATEMENTS. False on an error. */
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
        /* One message instead of five, which matters since each table has a COPY of its own. */
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

    /* An upgrade has changed what the function returns. A new connection prepares the statement
     * anew. */
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
            /* One statement's results end here, or it failed. The first error counts, since it
             * kept the others from running. */
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
    /* PostgreSQL, appendix A: connection, transaction rollback, resources, operator
     * intervention, system errors, locks. */
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
