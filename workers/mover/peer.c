#include "mover/peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pg/conninfo.h"
#include "mover/options.h"

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MOST_MS  15000

/* The parsing of dates and numbers in a COPY is fixed. Plans are generic, since each statement
 * serves all users, and must use the indexes by user. */
#define SESSION_OPTIONS                                                                           \
    "-c search_path= -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres "                 \
    "-c bytea_output=hex -c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off " \
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=10000"

#define OPEN_MS 3000

/* What all threads know of a unit. */
typedef struct condition condition_t;

struct condition {
    condition_t *next;
    char         unit[UNIT_SIZE];
    bool         away;
    int          failures;
    long         try_at;
};

typedef struct connection connection_t;

struct connection {
    connection_t *next;
    char          unit[UNIT_SIZE];
    link_t        link;
};

struct peers {
    connection_t *connections;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static condition_t    *conditions;


/* The lock must be held. NULL without memory. */
static condition_t *
condition_of(const char *unit)
{
    condition_t *c = conditions;

    while (c != NULL && strcmp(c->unit, unit) != 0) {
        c = c->next;
    }

    if (c == NULL && (c = calloc(1, sizeof(*c))) != NULL) {
        snprintf(c->unit, sizeof(c->unit), "%s", unit);
        c->next = conditions;
        conditions = c;
    }

    return c;
}


static void
note_failure(const char *unit, const char *error)
{
    char quoted[600];

    pthread_mutex_lock(&lock);

    condition_t *c = condition_of(unit);

    if (c != NULL) {
        c->try_at =
            punit_clock_ms() + punit_backoff_ms(c->failures, BACKOFF_FIRST_MS, BACKOFF_MOST_MS);
        c->failures++;

        /* One line for each change of state. */
        if (!c->away) {
            c->away = true;
            punit_log(PUNIT_LOG_WARN, "peer-away", "peer=%s error=%s", unit,
                      punit_log_quote(quoted, sizeof(quoted), error));
        }
    }

    pthread_mutex_unlock(&lock);
}


static void
note_success(const char *unit)
{
    pthread_mutex_lock(&lock);

    condition_t *c = condition_of(unit);

    if (c != NULL) {
        c->failures = 0;
        c->try_at = 0;

        if (c->away) {
            c->away = false;
            punit_log(PUNIT_LOG_INFO, "peer-back", "peer=%s", unit);
        }
    }

    pthread_mutex_unlock(&lock);
}


long
peer_wait_ms(const char *unit)
{
    pthread_mutex_lock(&lock);

    condition_t *c = condition_of(unit);
    long         left = c == NULL ? BACKOFF_FIRST_MS : c->try_at - punit_clock_ms();

    pthread_mutex_unlock(&lock);
    return left > 0 ? left : 0;
}


peers_t *
peers_create(void)
{
    return calloc(1, sizeof(peers_t));
}


void
peers_destroy(peers_t *peers)
{
    while (peers->connections != NULL) {
        connection_t *c = peers->connections;

        peers->connections = c->next;
        link_close(&c->link);
        free(c);
    }

    free(peers);
}


double
peers_idle_ms(const peers_t *peers)
{
    double ms = 0;

    for (const connection_t *c = peers->connections; c != NULL; c = c->next) {
        ms += c->link.idle_ms;
    }

    return ms;
}


static connection_t *
connection_of(peers_t *peers, const char *unit)
{
    connection_t *c = peers->connections;

    while (c != NULL && strcmp(c->unit, unit) != 0) {
        c = c->next;
    }

    if (c == NULL && (c = calloc(1, sizeof(*c))) != NULL) {
        snprintf(c->unit, sizeof(c->unit), "%s", unit);
        c->next = peers->connections;
        peers->connections = c;
    }

    return c;
}


static bool
connect_peer(link_t *link, const char *unit, link_t *local)
{
    const char *values[] = { unit };
    PGresult   *row = link_call(local, "select pg, state from punit.peer where id = $1", 1, values);

    if (row == NULL) {
        return false;
    }

    if (PQntuples(row) == 0 || strcmp(PQgetvalue(row, 0, 1), "down") == 0) {
        note_failure(unit, PQntuples(row) == 0 ? "not in punit.peer" : "marked down in punit.peer");
        PQclear(row);
        return false;
    }

    const punit_identity_t self = punit_conninfo_identity();
    char                  *conninfo =
        punit_conninfo_peer(PQgetvalue(row, 0, 0), &self, "punit-mover", SESSION_OPTIONS);

    PQclear(row);

    if (conninfo == NULL) {
        note_failure(unit, "its conninfo in punit.peer is malformed");
        return false;
    }

    bool ok = link_open(link, conninfo, OPEN_MS);

    free(conninfo);

    if (!ok) {
        note_failure(unit, link->error);
        return false;
    }

    link->timeout_ms = options.peer_ms;
    note_success(unit);

    if (!link_run(link, "select punit.warm()") || !link_measure(link)) {
        link_settle(link);
    }

    return link_ready(link);
}


link_t *
peer_link(peers_t *peers, const char *unit, link_t *local)
{
    if (*unit == '\0') {
        return NULL;
    }

    connection_t *c = connection_of(peers, unit);

    if (c == NULL) {
        return NULL;
    }

    if (c->link.pg != NULL) {
        /* If the server went away while the connection was idle, that shows here. */
        PQconsumeInput(c->link.pg);

        if (link_ready(&c->link)) {
            return &c->link;
        }

        link_close(&c->link);
    }

    if (peer_wait_ms(unit) > 0) {
        return NULL;
    }

    return connect_peer(&c->link, unit, local) ? &c->link : NULL;
}


void
peer_failed(const char *unit, link_t *link)
{
    note_failure(unit, link->error);
    link_close(link);
}
