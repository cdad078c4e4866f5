/* Statement: one SQL statement on a connection of the pool, in a transaction of its own. It is sent
 * again where that does no harm. */
#ifndef PUNIT_LIB_PG_STATEMENT_H
#define PUNIT_LIB_PG_STATEMENT_H

#include "lib/base/arena.h"
#include "lib/pg/pool.h"

typedef struct {
    punit_arena_t     *arena; /* owns the result */
    punit_pool_t      *pool;
    int64_t            deadline;   /* punit_clock_ms() */
    bool               only_reads; /* may be sent again although its outcome is unknown */
    bool               stale;      /* a server in recovery may answer */
    const char        *sql;        /* static: its address names the prepared statement */
    int                n;
    const char *const *values;  /* NULL = null */
    const int         *lengths; /* see punit_connection_execute */
} punit_statement_t;

typedef enum {
    PUNIT_STATEMENT_DONE,        /* *result holds the rows */
    PUNIT_STATEMENT_REFUSED,     /* *result holds the server's error */
    PUNIT_STATEMENT_UNCONFIRMED, /* committed here, but no synchronous standby confirmed it */
    PUNIT_STATEMENT_UNKNOWN,     /* the answer was lost after the statement was sent */
    PUNIT_STATEMENT_BUSY,        /* no connection became free in time */
    PUNIT_STATEMENT_LATE,        /* the deadline has passed, and nothing was done */
    PUNIT_STATEMENT_DOWN,        /* the server does not answer, and nothing was done */
    PUNIT_STATEMENT_RECOVERING,  /* the server only serves copies */
} punit_statement_rc_t;

/* What an error of the server says about trying again. */
typedef enum {
    PUNIT_RETRY_NO,
    PUNIT_RETRY_SAME,  /* rolled back without a fault of the statement */
    PUNIT_RETRY_FRESH, /* the connection's plan is of an older schema: use another connection */
    PUNIT_RETRY_READS, /* the server ends, and whether it committed is unknown */
} punit_retry_t;

/* Runs the statement and gives the connection back. The result lives as long as the arena. */
punit_statement_rc_t punit_statement_run(const punit_statement_t *s, PGresult **result);

/* Classifies a SQLSTATE, which may be NULL. */
punit_retry_t punit_statement_retry(const char *state);

#endif
