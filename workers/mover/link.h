/* Link: one PostgreSQL connection, this unit's or a peer's, with waits that end. */
#ifndef PUNIT_MOVER_LINK_H
#define PUNIT_MOVER_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Statements that a connection keeps prepared; the mover has some twenty. */
#define LINK_STATEMENTS 32

typedef struct {
    PGconn     *pg;                        /* NULL: closed */
    long        timeout_ms;                /* silence of the other side that ends a wait */
    char        sqlstate[6];               /* of the last error; "" when it was the connection */
    char        error[512];                /* one line */
    const char *prepared[LINK_STATEMENTS]; /* by name "sN" */
    int         nprepared;
    double      trip_ms;   /* of an empty question, at best; 0: not measured */
    double      idle_ms;   /* so many of them for the questions so far, over all connections */
    void (*pause)(void *); /* called between the lines of a COPY that arrive; NULL: nothing */
    void *pause_of;
} link_t;

/* Connects, within timeout_ms. */
bool link_open(link_t *link, const char *conninfo, long timeout_ms);
void link_close(link_t *link);

/* Open and between transactions. */
bool link_ready(const link_t *link);

/* Sends several statements as one simple query, one round trip; then link_next gives each result.
 */
bool link_send(link_t *link, const char *sql);

/* The next result (tuples, command, copy), to be PQclear'ed; NULL after the last one, or on an
 * error: then link->error is not empty. */
PGresult *link_next(link_t *link);

/* After a result PGRES_COPY_OUT: a line and its length, to be PQfreemem'ed; 0 at the end, -1 on an
 * error. */
int link_copy_line(link_t *link, char **line);

/* Reads and drops what is left of a query and ends an open transaction, so that the link is ready
 * again; closes it when that cannot be done. */
void link_settle(link_t *link);

/* One statement with text parameters (NULL = null) and its result; NULL on an error. One with
 * parameters stays prepared: its text must be a constant. */
PGresult *link_call(link_t *link, const char *sql, int n, const char *const *values);

/* BEGIN and such a statement in one round trip. */
PGresult *link_begin(link_t *link, const char *sql, int n, const char *const *values);

/* Statements without an answer, in one round trip. */
bool link_run(link_t *link, const char *sql);

/* Measures the round trip. */
bool link_measure(link_t *link);

/* Whether the last error may go away by itself: connection, restart, lock, serialization,
 * resources. */
bool link_error_passes(const link_t *link);

#endif
