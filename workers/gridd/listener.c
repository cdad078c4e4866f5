#include "gridd/listener.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pg/connection.h"
#include "lib/pg/schema.h"

#define QUERY_MS     2000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 500
#define FAILED_MS    1000 /* after a statement that failed */

struct listener {
    char               *conninfo;
    const channel_t    *channels;
    punit_connection_t *connection;
    bool                down; /* as logged last */
    int64_t             retry_at;
    int                 failures; /* to connect, one after another */
    const char         *failing;  /* the statement that failed, as logged last */
};


listener_t *
listener_create(char *conninfo, const channel_t *channels)
{
    listener_t *listener = conninfo != NULL ? calloc(1, sizeof(listener_t)) : NULL;

    if (listener != NULL) {
        listener->conninfo = conninfo;
        listener->channels = channels;
    }

    return listener;
}


void
listener_destroy(listener_t *listener)
{
    punit_connection_close(listener->connection);
    free(listener->conninfo);
    free(listener);
}


static void
lost(listener_t *listener, const char *why)
{
    char quoted[300];

    punit_connection_close(listener->connection);
    listener->connection = NULL;
    listener->retry_at =
        punit_clock_ms() + punit_backoff_ms(listener->failures++, RETRY_MIN_MS, RETRY_MAX_MS);

    if (!listener->down) {
        listener->down = true;
        punit_log(PUNIT_LOG_ERROR, "database-down", "why=%s",
                  punit_log_quote(quoted, sizeof(quoted), why));
    }
}


static bool
listen_to(listener_t *listener, const char *sql)
{
    PGresult       *result = NULL;
    punit_outcome_t outcome = punit_connection_execute(listener->connection, sql, 0, NULL, NULL,
                                                       punit_clock_ms() + QUERY_MS, &result);
    bool            done = outcome == PUNIT_DONE && PQresultStatus(result) == PGRES_COMMAND_OK;

    PQclear(result);
    return done;
}


bool
listener_stand(listener_t *listener)
{
    char why[256];

    if (listener->connection != NULL || punit_clock_ms() < listener->retry_at) {
        return false;
    }

    listener->connection =
        punit_connection_open(listener->conninfo, punit_clock_ms() + QUERY_MS, why, sizeof(why));
    listener->connection =
        punit_schema_checked(listener->connection, punit_clock_ms() + QUERY_MS, why, sizeof(why));

    if (listener->connection == NULL) {
        lost(listener, why);
        return false;
    }

    for (const channel_t *c = listener->channels; c->name != NULL; c++) {
        if (!listen_to(listener, c->listen)) {
            lost(listener, "cannot listen");
            return false;
        }
    }

    if (listener->down) {
        punit_log(PUNIT_LOG_INFO, "database-up", "server=%d",
                  PQserverVersion(listener->connection->pg));
    }

    listener->down = false;
    listener->failures = 0;
    return true;
}


int64_t
listener_retry_at(const listener_t *listener, int64_t otherwise)
{
    return listener->connection == NULL && listener->retry_at < otherwise ? listener->retry_at
                                                                          : otherwise;
}


int
listener_socket(const listener_t *listener)
{
    return listener->connection != NULL ? PQsocket(listener->connection->pg) : -1;
}


void
listener_notifications(listener_t *listener, state_t *state)
{
    PGnotify *n;

    if (listener->connection == NULL) {
        return;
    }

    if (!punit_connection_alive(listener->connection)) {
        lost(listener, "the connection broke");
        return;
    }

    while ((n = PQnotifies(listener->connection->pg)) != NULL) {
        for (const channel_t *c = listener->channels; c->name != NULL; c++) {
            if (strcmp(c->name, n->relname) == 0) {
                c->notified(state, n->extra);
            }
        }

        PQfreemem(n);
    }
}


PGresult *
listener_query(listener_t *listener, const char *sql, int n, const char *const *values)
{
    PGresult *rows;
    char      quoted[300];

    if (listener->connection == NULL) {
        return NULL;
    }

    if (punit_connection_execute(listener->connection, sql, n, values, NULL,
                                 punit_clock_ms() + QUERY_MS, &rows)
        != PUNIT_DONE)
    {
        lost(listener, "the connection broke");
        return NULL;
    }

    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        const char *message = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);

        if (listener->failing != sql) {
            listener->failing = sql;
            punit_log(PUNIT_LOG_ERROR, "statement-failed", "message=%s",
                      punit_log_quote(quoted, sizeof(quoted), message));
        }

        /* The schema may have changed, and the plans of this connection may be of the old one. */
        PQclear(rows);
        punit_connection_close(listener->connection);
        listener->connection = NULL;
        listener->retry_at = punit_clock_ms() + FAILED_MS;
        return NULL;
    }

    listener->failing = listener->failing == sql ? NULL : listener->failing;
    return rows;
}
