/* Pool: a service's PostgreSQL connections, fewer than its threads. */
#ifndef PUNIT_LIB_PG_POOL_H
#define PUNIT_LIB_PG_POOL_H

#include "lib/pg/connection.h"

typedef struct punit_pool punit_pool_t;

typedef enum {
    PUNIT_TAKE_OK,
    PUNIT_TAKE_BUSY, /* no connection became free in time */
    PUNIT_TAKE_DOWN, /* PostgreSQL does not answer, or did not a moment ago */
} punit_take_t;

/* A pool of at most `size` connections, opened as they are needed. NULL without memory. */
punit_pool_t *punit_pool_create(const char *conninfo, int size);

/* Takes a connection, and waits for one at most a second and not past the deadline. checked: the
 * connection is known to stand. Otherwise the statement finds out, so it must be one that may be
 * sent again. After a failed connect every caller fails at once for 0.05 s, doubling up to 0.5 s.
 */
punit_take_t punit_pool_take(punit_pool_t *pool, int64_t deadline, bool checked,
                             punit_connection_t **c);

/* Returns a connection. A broken one is closed. */
void punit_pool_give(punit_pool_t *pool, punit_connection_t *c, bool broken);

/* Whether this server is a standby. PostgreSQL reports it with the connection, without a query. */
bool punit_pool_in_recovery(const punit_connection_t *c);

#endif
