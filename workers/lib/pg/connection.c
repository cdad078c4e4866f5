#include "lib/pg/connection.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/pg/wire.h"

#define CANCEL_GRACE_MS 300
#define VALUES_MAX      32


/* When the wait for a synchronous standby is cancelled, the commit is local only, and the server
 * sends a warning instead of an error. The name of the server's function identifies that warning in
 * any language. The last words to an idle connection come here too: 57P01 when the server shuts
 * down, 57P02 after a crash. */
static void
on_notice(void *data, const PGresult *notice)
{
    punit_connection_t *c = data;
    const char         *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    const char         *state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);

    if (state != NULL && strncmp(state, "57P", 3) == 0) {
        c->ending = true;
    }

    if (function != NULL && strcmp(function, "SyncRepWaitForLSN") == 0) {
        c->unconfirmed = true;
    }
}


punit_connection_t *
punit_connection_open(const char *conninfo, int64_t deadline, char *why, size_t size)
{
    punit_connection_t *c = calloc(1, sizeof(punit_connection_t));

    if (c == NULL) {
        snprintf(why, size, "no memory");
        return NULL;
    }

    c->pg = punit_wire_open(conninfo, deadline, NULL, why, size);
    if (c->pg == NULL) {
        free(c);
        return NULL;
    }

    PQsetNoticeReceiver(c->pg, on_notice, c);
    return c;
}


void
punit_connection_close(punit_connection_t *c)
{
    if (c != NULL) {
        PQfinish(c->pg);
        free(c->prepared);
        free(c);
    }
}


bool
punit_connection_alive(punit_connection_t *c)
{
    struct pollfd fd = { .fd = PQsocket(c->pg), .events = POLLIN };

    if (PQstatus(c->pg) != CONNECTION_OK || fd.fd < 0) {
        return false;
    }

    /* An idle server only reports that it ends, or that a parameter changed. Its last words and the
     * end of the stream arrive one after the other, so reading goes on until nothing is left. */
    while (poll(&fd, 1, 0) > 0) {
        if (PQconsumeInput(c->pg) == 0 || PQisBusy(c->pg) || PQstatus(c->pg) != CONNECTION_OK
            || c->ending) {
            return false;
        }
    }

    return true;
}


static void *
send_cancel(void *data)
{
    PGcancel *request = data;
    char      why[256];

    PQcancel(request, why, sizeof(why));
    PQfreeCancel(request);
    return NULL;
}


/* PQcancel waits for the postmaster without a limit, so a thread of its own does that. There are
 * never more such threads than connections, since the caller opens none meanwhile. */
static void
cancel(PGconn *pg)
{
    PGcancel      *request = PQgetCancel(pg);
    pthread_attr_t attr;
    pthread_t      thread;

    if (request == NULL) {
        return;
    }

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    if (pthread_create(&thread, &attr, send_cancel, request) != 0) {
        PQfreeCancel(request);
    }

    pthread_attr_destroy(&attr);
}


/* Takes all results of what was sent. At the deadline the server is asked to cancel. NULL when no
 * result came. */
static PGresult *
collect(PGconn *pg, int64_t deadline)
{
    PGresult *kept = NULL;

    if (punit_wire_collect(pg, deadline, &kept) == PUNIT_WIRE_READY) {
        return kept;
    }

    cancel(pg);

    if (punit_wire_collect(pg, punit_clock_ms() + CANCEL_GRACE_MS, &kept) == PUNIT_WIRE_READY) {
        return kept;
    }

    PQclear(kept);
    return NULL;
}


static bool
is_prepared(const punit_connection_t *c, const char *sql)
{
    for (size_t i = 0; i < c->nprepared; i++) {
        if (c->prepared[i] == sql) {
            return true;
        }
    }

    return false;
}


static bool
is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}


/* libpq makes an error without SQLSTATE when the server has not answered. */
static bool
is_loss(const PGresult *result)
{
    return is_error(result) && PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL;
}


punit_outcome_t
punit_connection_execute(punit_connection_t *c, const char *sql, int n, const char *const *values,
                         const int *lengths, int64_t deadline, PGresult **result)
{
    char name[32];
    int  formats[VALUES_MAX];

    *result = NULL;
    c->unconfirmed = false;
    snprintf(name, sizeof(name), "s%lx", (unsigned long) (uintptr_t) sql);

    if (!is_prepared(c, sql)) {
        const char **more = realloc(c->prepared, (c->nprepared + 1) * sizeof(char *));

        if (more == NULL) {
            return PUNIT_NOT_SENT;
        }

        c->prepared = more;

        PGresult *prepared =
            PQsendPrepare(c->pg, name, sql, n, NULL) == 1 ? collect(c->pg, deadline) : NULL;

        if (prepared == NULL || is_loss(prepared)) {
            PQclear(prepared);
            return PUNIT_NOT_SENT;
        }

        if (is_error(prepared)) {
            *result = prepared;
            return PUNIT_DONE;
        }

        PQclear(prepared);
        c->prepared[c->nprepared++] = sql;
    }

    for (int i = 0; lengths != NULL && i < n; i++) {
        formats[i] = lengths[i] > 0;
    }

    if (PQsendQueryPrepared(c->pg, name, n, values, lengths, lengths != NULL ? formats : NULL, 0)
        != 1) {
        return PUNIT_NOT_SENT;
    }

    *result = collect(c->pg, deadline);

    if (*result == NULL || is_loss(*result)) {
        PQclear(*result);
        *result = NULL;
        return PUNIT_LOST;
    }

    return PUNIT_DONE;
}
