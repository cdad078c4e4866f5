/* Connection: one libpq connection in non-blocking mode, every wait bounded by a deadline. */
#ifndef PUNIT_LIB_PG_CONNECTION_H
#define PUNIT_LIB_PG_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct punit_connection {
    PGconn                  *pg;
    const char             **prepared; /* statements known to this connection, by address */
    size_t                   nprepared;
    bool                     unconfirmed; /* the wait for a synchronous standby was cancelled */
    bool                     ending;      /* the server has said that it ends this connection */
    struct punit_connection *next;        /* in the pool */
} punit_connection_t;

typedef enum {
    PUNIT_DONE, /* *result is set, also to an error; the connection may be broken all the same */
    PUNIT_NOT_SENT, /* broken before anything was executed */
    PUNIT_LOST,     /* broken or late after the statement was sent: the outcome is unknown */
} punit_outcome_t;

/* Connects. NULL when that fails or the deadline (punit_clock_ms) passes: then `why` holds one
 * line. */
punit_connection_t *punit_connection_open(const char *conninfo, int64_t deadline, char *why,
                                          size_t size);
void                punit_connection_close(punit_connection_t *c);

/* Whether an idle connection still stands. Reads what the server has sent, without waiting. */
bool punit_connection_alive(punit_connection_t *c);

/* Runs sql, which must be static: its address names the statement that this connection prepares on
 * first use. At the deadline the server is asked to cancel, and gets a little time to confirm.
 * lengths: that of each value in binary format, 0 for text. NULL when all are text. */
punit_outcome_t punit_connection_execute(punit_connection_t *c, const char *sql, int n,
                                         const char *const *values, const int *lengths,
                                         int64_t deadline, PGresult **result);

#endif
