/* Database: the pool of a service's PostgreSQL connections, smaller than the number of its threads.
 */
#ifndef PUNIT_LIB_PG_POOL_H
#define PUNIT_LIB_PG_POOL_H

#include "lib/pg/connection.h"

typedef struct punit_database punit_database_t;

typedef enum {
    PUNIT_TAKE_OK,
    PUNIT_TAKE_BUSY, /* no connection became free in time */
    PUNIT_TAKE_DOWN, /* PostgreSQL does not answer, or did not a moment ago */
} punit_take_t;

/* A pool of at most `size` connections, opened as they are needed. NULL without memory. */
punit_database_t *punit_database_create(const char *conninfo, int size);

/* A connection, waiting at most a second and not past the deadline for one. checked: it stood just
 * now; otherwise the statement finds out, which then must be one that may be sent again. After a
 * failed connect nobody tries for a while (0.05 s, doubling up to 0.5 s): requests fail at once
 * meanwhile. */
punit_take_t punit_database_take(punit_database_t *db, int64_t deadline, bool checked,
                                 punit_connection_t **c);

/* Gives it back; one that is broken is closed. */
void punit_database_give(punit_database_t *db, punit_connection_t *c, bool broken);

/* Whether this server is a standby: reported by PostgreSQL with the connection, no query needed. */
bool punit_database_in_recovery(const punit_connection_t *c);

#endif
