#include "gridd/link.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/request.h"
#include "lib/pg/connection.h"
#include "lib/pg/schema.h"

#define QUERY_MS     2000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 500
#define FAILED_MS    1000 /* after a statement that failed */

struct gridd_link {
    char                  *conninfo;
    const gridd_channel_t *channels;
    punit_connection_t    *connection;
    bool                   down; /* as logged last */
    int64_t                retry_at;
    int                    backoff;
    const char            *failing; /* the statement that failed, as logged last */
};


gridd_link_t *
gridd_link_create(char *conninfo, const gridd_channel_t *channels)
{
    gridd_link_t *link = conninfo != NULL ? calloc(1, sizeof(gridd_link_t)) : NULL;

    if (link != NULL) {
        link->conninfo = conninfo;
        link->channels = channels;
    }

    return link;
}


void
gridd_link_destroy(gridd_link_t *link)
{
    punit_connection_close(link->connection);
    free(link->conninfo);
    free(link);
}


static void
lost(gridd_link_t *link, const char *why)
{
    char quoted[300];

    punit_connection_close(link->connection);
    link->connection = NULL;
    link->backoff = link->backoff == 0 ? RETRY_MIN_MS : link->backoff * 2;
    link->backoff = link->backoff > RETRY_MAX_MS ? RETRY_MAX_MS : link->backoff;
    link->retry_at = punit_clock_ms() + link->backoff;

    if (!link->down) {
        link->down = true;
        punit_log(PUNIT_LOG_ERROR, "database-down", "why=%s",
                  punit_log_quote(quoted, sizeof(quoted), why));
    }
}


static bool
listen_to(gridd_link_t *link, const char *sql)
{
    PGresult       *result = NULL;
    punit_outcome_t outcome = punit_connection_execute(link->connection, sql, 0, NULL, NULL,
                                                       punit_clock_ms() + QUERY_MS, &result);
    bool            done = outcome == PUNIT_DONE && PQresultStatus(result) == PGRES_COMMAND_OK;

    PQclear(result);
    return done;
}


bool
gridd_link_stand(gridd_link_t *link)
{
    char why[256];

    if (link->connection != NULL || punit_clock_ms() < link->retry_at) {
        return false;
    }

    link->connection =
        punit_connection_open(link->conninfo, punit_clock_ms() + QUERY_MS, why, sizeof(why));
    link->connection =
        punit_schema_checked(link->connection, punit_clock_ms() + QUERY_MS, why, sizeof(why));

    if (link->connection == NULL) {
        lost(link, why);
        return false;
    }

    for (const gridd_channel_t *c = link->channels; c->name != NULL; c++) {
        if (!listen_to(link, c->listen)) {
            lost(link, "cannot listen");
            return false;
        }
    }

    if (link->down) {
        punit_log(PUNIT_LOG_INFO, "database-up", "server=%d",
                  PQserverVersion(link->connection->pg));
    }

    link->down = false;
    link->backoff = 0;
    return true;
}


int64_t
gridd_link_retry_at(const gridd_link_t *link, int64_t otherwise)
{
    return link->connection == NULL && link->retry_at < otherwise ? link->retry_at : otherwise;
}


int
gridd_link_socket(const gridd_link_t *link)
{
    return link->connection != NULL ? PQsocket(link->connection->pg) : -1;
}


void
gridd_link_notifications(gridd_link_t *link, gridd_state_t *state)
{
    PGnotify *n;

    if (link->connection == NULL) {
        return;
    }

    if (!punit_connection_alive(link->connection)) {
        lost(link, "the connection broke");
        return;
    }

    while ((n = PQnotifies(link->connection->pg)) != NULL) {
        for (const gridd_channel_t *c = link->channels; c->name != NULL; c++) {
            if (strcmp(c->name, n->relname) == 0) {
                c->notified(state, n->extra);
            }
        }

        PQfreemem(n);
    }
}


PGresult *
gridd_link_query(gridd_link_t *link, const char *sql)
{
    PGresult *rows;
    char      quoted[300];

    if (link->connection == NULL) {
        return NULL;
    }

    if (punit_connection_execute(link->connection, sql, 0, NULL, NULL, punit_clock_ms() + QUERY_MS,
                                 &rows)
        != PUNIT_DONE)
    {
        lost(link, "the connection broke");
        return NULL;
    }

    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        const char *message = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);

        if (link->failing != sql) {
            link->failing = sql;
            punit_log(PUNIT_LOG_ERROR, "statement-failed", "message=%s",
                      punit_log_quote(quoted, sizeof(quoted), message));
        }

        /* The schema may be a new one, which plans of this connection do not know. */
        PQclear(rows);
        punit_connection_close(link->connection);
        link->connection = NULL;
        link->retry_at = punit_clock_ms() + FAILED_MS;
        return NULL;
    }

    link->failing = link->failing == sql ? NULL : link->failing;
    return rows;
}


void
gridd_grid_state(bool *silent, bool silent_now, const char *which)
{
    if (*silent != silent_now) {
        *silent = silent_now;
        punit_log(silent_now ? PUNIT_LOG_WARN : PUNIT_LOG_INFO,
                  silent_now ? "grid-down" : "grid-up", "grid=%s", which);
    }
}
