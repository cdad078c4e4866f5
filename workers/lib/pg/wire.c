#include "lib/pg/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"

#define SLICE_MS 100 /* of a wait that stop() may end */
#define POLL_MAX 60000


void
punit_wire_line(char *line, size_t size, const char *message)
{
    snprintf(line, size, "%s", message != NULL ? message : "");

    for (char *p = line; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\t') {
            *p = ' ';
        }
    }

    for (size_t len = strlen(line); len > 0 && line[len - 1] == ' '; len--) {
        line[len - 1] = '\0';
    }
}


punit_wire_t
punit_wire_wait(PGconn *pg, short events, int64_t deadline, punit_wire_stop_pt stop)
{
    struct pollfd fd = { .fd = PQsocket(pg), .events = events };

    if (fd.fd < 0) {
        return PUNIT_WIRE_BROKEN;
    }

    for (;;) {
        int64_t left = deadline - punit_clock_ms();
        int64_t slice = stop != NULL ? SLICE_MS : POLL_MAX;

        if (left <= 0) {
            return PUNIT_WIRE_LATE;
        }

        int n = poll(&fd, 1, (int) (left < slice ? left : slice));

        if (n > 0) {
            return PUNIT_WIRE_READY;
        }

        if (n < 0 && errno != EINTR) {
            return PUNIT_WIRE_BROKEN;
        }

        if (stop != NULL && stop()) {
            return PUNIT_WIRE_STOPPED;
        }
    }
}


PGconn *
punit_wire_open(const char *conninfo, int64_t deadline, punit_wire_stop_pt stop, char *why,
                size_t size)
{
    PGconn                   *pg = PQconnectStart(conninfo);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    punit_wire_t              wait = PUNIT_WIRE_READY;

    if (pg == NULL) {
        snprintf(why, size, "no memory");
        return NULL;
    }

    while (PQstatus(pg) != CONNECTION_BAD && state != PGRES_POLLING_OK
           && state != PGRES_POLLING_FAILED) {
        wait =
            punit_wire_wait(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, stop);

        if (wait != PUNIT_WIRE_READY) {
            break;
        }

        state = PQconnectPoll(pg);
    }

    if (state == PGRES_POLLING_OK && PQsetnonblocking(pg, 1) == 0) {
        return pg;
    }

    punit_wire_line(why, size, PQerrorMessage(pg));

    if (wait == PUNIT_WIRE_STOPPED) {
        snprintf(why, size, "this process stops");

    } else if (*why == '\0') {
        snprintf(why, size, "no answer in time");
    }

    PQfinish(pg);
    return NULL;
}


/* Sends what is queued and waits until a result can be taken without blocking. */
static punit_wire_t
wait_result(PGconn *pg, int64_t deadline)
{
    int left;

    while ((left = PQflush(pg)) == 1) {
        punit_wire_t wait = punit_wire_wait(pg, POLLIN | POLLOUT, deadline, NULL);

        /* Both sides may be sending: reading keeps the server from being stuck. */
        if (wait != PUNIT_WIRE_READY || PQconsumeInput(pg) == 0) {
            return wait != PUNIT_WIRE_READY ? wait : PUNIT_WIRE_BROKEN;
        }
    }

    if (left < 0) {
        return PUNIT_WIRE_BROKEN;
    }

    while (PQisBusy(pg)) {
        punit_wire_t wait = punit_wire_wait(pg, POLLIN, deadline, NULL);

        if (wait != PUNIT_WIRE_READY) {
            return wait;
        }

        if (PQconsumeInput(pg) == 0) {
            return PUNIT_WIRE_BROKEN;
        }
    }

    return PUNIT_WIRE_READY;
}


bool
punit_wire_send(PGconn *pg, const char *sql, int n, const char *const *values, int64_t deadline)
{
    int left;

    if (PQsendQueryParams(pg, sql, n, NULL, values, NULL, NULL, 0) != 1) {
        return false;
    }

    while ((left = PQflush(pg)) == 1) {
        if (punit_wire_wait(pg, POLLOUT, deadline, NULL) != PUNIT_WIRE_READY) {
            return false;
        }
    }

    return left == 0;
}


punit_wire_t
punit_wire_collect(PGconn *pg, int64_t deadline, PGresult **kept)
{
    for (;;) {
        /* Of a broken connection libpq makes a result that says so. */
        if (wait_result(pg, deadline) == PUNIT_WIRE_LATE) {
            return PUNIT_WIRE_LATE;
        }

        PGresult *result = PQgetResult(pg);

        if (result == NULL) {
            return PUNIT_WIRE_READY;
        }

        if (*kept != NULL && PQresultStatus(*kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }

        PQclear(*kept);
        *kept = result;
    }
}


PGresult *
punit_wire_execute(PGconn *pg, const char *sql, int n, const char *const *values, int64_t deadline)
{
    PGresult *result = NULL;

    if (!punit_wire_send(pg, sql, n, values, deadline)) {
        return NULL;
    }

    if (punit_wire_collect(pg, deadline, &result) != PUNIT_WIRE_READY) {
        PQclear(result);
        return NULL;
    }

    return result;
}
