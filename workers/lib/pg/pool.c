#include "lib/pg/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pg/schema.h"

#define WAIT_MS        1000
#define CONNECT_MS     2000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 500

struct punit_pool {
    char               *conninfo;
    int                 size;
    pthread_mutex_t     lock;
    pthread_cond_t      freed;
    punit_connection_t *idle; /* last used first, so that the others may rest */
    int                 open; /* connections, and attempts to open one */
    bool                down;
    int64_t             retry_at;
    int                 failures; /* to connect, one after another */
};


punit_pool_t *
punit_pool_create(const char *conninfo, int size)
{
    punit_pool_t *pool = calloc(1, sizeof(punit_pool_t));

    if (pool == NULL || (pool->conninfo = strdup(conninfo)) == NULL) {
        free(pool);
        return NULL;
    }

    pool->size = size;
    pthread_mutex_init(&pool->lock, NULL);
    punit_clock_cond(&pool->freed);
    return pool;
}


/* Opens a connection. The caller has already taken its place in the pool. */
static punit_take_t
open_one(punit_pool_t *pool, int64_t deadline, punit_connection_t **c)
{
    char    why[256], quoted[300];
    int64_t now = punit_clock_ms();

    *c = punit_connection_open(pool->conninfo,
                               deadline < now + CONNECT_MS ? deadline : now + CONNECT_MS, why,
                               sizeof(why));
    *c = punit_schema_checked(*c, now + CONNECT_MS, why, sizeof(why));

    pthread_mutex_lock(&pool->lock);

    bool changed = pool->down != (*c == NULL);

    pool->down = *c == NULL;

    if (*c == NULL) {
        pool->retry_at =
            punit_clock_ms() + punit_backoff_ms(pool->failures++, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
        pool->open--;
        pthread_cond_signal(&pool->freed);

    } else {
        pool->failures = 0;
        pool->retry_at = 0;
    }

    pthread_mutex_unlock(&pool->lock);

    if (changed && *c == NULL) {
        punit_log(PUNIT_LOG_ERROR, "database-down", "why=%s",
                  punit_log_quote(quoted, sizeof(quoted), why));

    } else if (changed) {
        punit_log(PUNIT_LOG_INFO, "database-up", "server=%d", PQserverVersion((*c)->pg));
    }

    return *c != NULL ? PUNIT_TAKE_OK : PUNIT_TAKE_DOWN;
}


punit_take_t
punit_pool_take(punit_pool_t *pool, int64_t deadline, bool checked, punit_connection_t **c)
{
    int64_t until = punit_clock_ms() + WAIT_MS;

    if (until > deadline) {
        until = deadline;
    }

    pthread_mutex_lock(&pool->lock);

    for (;;) {
        if (pool->idle != NULL) {
            *c = pool->idle;
            pool->idle = (*c)->next;
            pthread_mutex_unlock(&pool->lock);

            /* A standby reports its promotion between two statements. */
            if ((!checked && !punit_pool_in_recovery(*c)) || punit_connection_alive(*c)) {
                return PUNIT_TAKE_OK;
            }

            punit_connection_close(*c);
            pthread_mutex_lock(&pool->lock);
            pool->open--;
            continue;
        }

        if (pool->open < pool->size) {
            if (punit_clock_ms() < pool->retry_at) {
                pthread_mutex_unlock(&pool->lock);
                return PUNIT_TAKE_DOWN;
            }

            pool->open++;
            pthread_mutex_unlock(&pool->lock);
            return open_one(pool, deadline, c);
        }

        if (punit_clock_wait(&pool->freed, &pool->lock, (double) until) == ETIMEDOUT
            && pool->idle == NULL && pool->open >= pool->size)
        {
            bool down = pool->down;

            pthread_mutex_unlock(&pool->lock);
            return down ? PUNIT_TAKE_DOWN : PUNIT_TAKE_BUSY;
        }
    }
}


void
punit_pool_give(punit_pool_t *pool, punit_connection_t *c, bool broken)
{
    if (broken || PQstatus(c->pg) != CONNECTION_OK || PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        punit_connection_close(c);
        c = NULL;
    }

    pthread_mutex_lock(&pool->lock);

    if (c != NULL) {
        c->next = pool->idle;
        pool->idle = c;

    } else {
        pool->open--;
    }

    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}


bool
punit_pool_in_recovery(const punit_connection_t *c)
{
    const char *standby = PQparameterStatus(c->pg, "in_hot_standby");

    return standby != NULL && strcmp(standby, "on") == 0;
}
