#include "lib/pg/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/request.h"
#include "lib/pg/schema.h"

#define WAIT_MS        1000
#define CONNECT_MS     2000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 500

struct punit_database {
    char               *conninfo;
    int                 size;
    pthread_mutex_t     lock;
    pthread_cond_t      freed;
    punit_connection_t *idle; /* last used first: the others may rest */
    int                 open; /* connections and attempts at one */
    bool                down;
    int64_t             retry_at;
    int                 backoff;
};


punit_database_t *
punit_database_create(const char *conninfo, int size)
{
    punit_database_t *db = calloc(1, sizeof(punit_database_t));

    if (db == NULL || (db->conninfo = strdup(conninfo)) == NULL) {
        free(db);
        return NULL;
    }

    db->size = size;
    pthread_mutex_init(&db->lock, NULL);
    punit_clock_cond(&db->freed);
    return db;
}


/* Opens a connection for a place in the pool that is taken already. */
static punit_take_t
open_one(punit_database_t *db, int64_t deadline, punit_connection_t **c)
{
    char    why[256], quoted[300];
    int64_t now = punit_clock_ms();

    *c = punit_connection_open(db->conninfo,
                               deadline < now + CONNECT_MS ? deadline : now + CONNECT_MS, why,
                               sizeof(why));
    *c = punit_schema_checked(*c, now + CONNECT_MS, why, sizeof(why));

    pthread_mutex_lock(&db->lock);

    bool changed = db->down != (*c == NULL);

    db->down = *c == NULL;

    if (*c == NULL) {
        db->backoff = db->backoff == 0 ? BACKOFF_MIN_MS : db->backoff * 2;
        db->backoff = db->backoff > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : db->backoff;
        db->retry_at = punit_clock_ms() + db->backoff;
        db->open--;
        pthread_cond_signal(&db->freed);

    } else {
        db->backoff = 0;
        db->retry_at = 0;
    }

    pthread_mutex_unlock(&db->lock);

    if (changed && *c == NULL) {
        punit_log(PUNIT_LOG_ERROR, "database-down", "why=%s",
                  punit_log_quote(quoted, sizeof(quoted), why));

    } else if (changed) {
        punit_log(PUNIT_LOG_INFO, "database-up", "server=%d", PQserverVersion((*c)->pg));
    }

    return *c != NULL ? PUNIT_TAKE_OK : PUNIT_TAKE_DOWN;
}


punit_take_t
punit_database_take(punit_database_t *db, int64_t deadline, bool checked, punit_connection_t **c)
{
    int64_t until = punit_clock_ms() + WAIT_MS;

    if (until > deadline) {
        until = deadline;
    }

    pthread_mutex_lock(&db->lock);

    for (;;) {
        if (db->idle != NULL) {
            *c = db->idle;
            db->idle = (*c)->next;
            pthread_mutex_unlock(&db->lock);

            /* That a standby was promoted it says between two statements. */
            if ((!checked && !punit_database_in_recovery(*c)) || punit_connection_alive(*c)) {
                return PUNIT_TAKE_OK;
            }

            punit_connection_close(*c);
            pthread_mutex_lock(&db->lock);
            db->open--;
            continue;
        }

        if (db->open < db->size) {
            if (punit_clock_ms() < db->retry_at) {
                pthread_mutex_unlock(&db->lock);
                return PUNIT_TAKE_DOWN;
            }

            db->open++;
            pthread_mutex_unlock(&db->lock);
            return open_one(db, deadline, c);
        }

        if (punit_clock_wait(&db->freed, &db->lock, (double) until) == ETIMEDOUT && db->idle == NULL
            && db->open >= db->size)
        {
            bool down = db->down;

            pthread_mutex_unlock(&db->lock);
            return down ? PUNIT_TAKE_DOWN : PUNIT_TAKE_BUSY;
        }
    }
}


void
punit_database_give(punit_database_t *db, punit_connection_t *c, bool broken)
{
    if (broken || PQstatus(c->pg) != CONNECTION_OK || PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        punit_connection_close(c);
        c = NULL;
    }

    pthread_mutex_lock(&db->lock);

    if (c != NULL) {
        c->next = db->idle;
        db->idle = c;

    } else {
        db->open--;
    }

    pthread_cond_signal(&db->freed);
    pthread_mutex_unlock(&db->lock);
}


bool
punit_database_in_recovery(const punit_connection_t *c)
{
    const char *standby = PQparameterStatus(c->pg, "in_hot_standby");

    return standby != NULL && strcmp(standby, "on") == 0;
}
