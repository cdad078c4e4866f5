#include "lib/pg/connection.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/http/request.h"

#define CANCEL_GRACE_MS 300
#define VALUES_MAX      32

typedef enum { WAIT_READY, WAIT_LATE, WAIT_BROKEN } wait_t;


/* Waits for events on the connection's socket until the deadline. */
static wait_t
wait_for(PGconn *pg, short events, int64_t deadline)
{
    struct pollfd fd = { .fd = PQsocket(pg), .events = events };

    if (fd.fd < 0) {
        return WAIT_BROKEN;
    }

    for (;;) {
        int64_t left = deadline - punit_clock_ms();

        if (left <= 0) {
            return WAIT_LATE;
        }

        int n = poll(&fd, 1, (int) left);

        if (n > 0) {
            return WAIT_READY;
        }
    }
}


/* A synchronous standby that was waited for in vain leaves a warning, not an error: the commit is
 * local only. Which warning it is says the server's function, whatever the language of its
 * messages. What an idle connection hears last (57P01 when the server is shut down, 57P02 when it
 * crashed) comes here too. */
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

    c->pg = PQconnectStart(conninfo);
    if (c->pg == NULL) {
        snprintf(why, size, "no memory");
        free(c);
        return NULL;
    }

    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (PQstatus(c->pg) != CONNECTION_BAD && state != PGRES_POLLING_OK
           && state != PGRES_POLLING_FAILED)
    {
        if (wait_for(c->pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)
            != WAIT_READY) {
            break;
        }

        state = PQconnectPoll(c->pg);
    }

    if (state == PGRES_POLLING_OK && PQsetnonblocking(c->pg, 1) == 0) {
        PQsetNoticeReceiver(c->pg, on_notice, c);
        return c;
    }

    const char *message = PQerrorMessage(c->pg);

    snprintf(why, size, "%s", *message != '\0' ? message : "no answer in time");

    for (char *p = why; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\t') {
            *p = ' ';
        }
    }

    punit_connection_close(c);
    return NULL;
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

    /* An idle server has nothing to say but that it ends, or a parameter that changed. Its last
     * words and the end of the stream are read one after the other. */
    while (poll(&fd, 1, 0) > 0) {
        if (PQconsumeInput(c->pg) == 0 || PQisBusy(c->pg) || PQstatus(c->pg) != CONNECTION_OK
            || c->ending) {
            return false;
        }
    }

    return true;
}


/* Sends what is queued and waits until a result can be taken without blocking. */
static wait_t
wait_result(PGconn *pg, int64_t deadline)
{
    int left;

    while ((left = PQflush(pg)) == 1) {
        wait_t w = wait_for(pg, POLLIN | POLLOUT, deadline);

        /* Both sides may be sending: reading keeps the server from being stuck. */
        if (w != WAIT_READY || PQconsumeInput(pg) == 0) {
            return w != WAIT_READY ? w : WAIT_BROKEN;
        }
    }

    if (left < 0) {
        return WAIT_BROKEN;
    }

    while (PQisBusy(pg)) {
        wait_t w = wait_for(pg, POLLIN, deadline);

        if (w != WAIT_READY) {
            return w;
        }

        if (PQconsumeInput(pg) == 0) {
            return WAIT_BROKEN;
        }
    }

    return WAIT_READY;
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


/* PQcancel waits for the postmaster without a limit, for ever if that is frozen: a thread of its
 * own may. There are never more of them than connections, since none is opened meanwhile. */
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


/* Takes all results of what was sent; keeps the first error, else the last. NULL: none came. */
static PGresult *
collect(PGconn *pg, int64_t deadline)
{
    PGresult *kept = NULL;
    bool      cancelled = false;

    for (;;) {
        wait_t w = wait_result(pg, deadline);

        if (w == WAIT_LATE && !cancelled) {
            cancelled = true;
            cancel(pg);
            deadline = punit_clock_ms() + CANCEL_GRACE_MS;
            continue;
        }

        if (w == WAIT_LATE) {
            PQclear(kept);
            return NULL;
        }

        PGresult *result = PQgetResult(pg);

        if (result == NULL) {
            return kept;
        }

        if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }

        PQclear(kept);
        kept = result;
    }
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


/* An error without SQLSTATE was made by libpq: the server has said nothing. */
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
