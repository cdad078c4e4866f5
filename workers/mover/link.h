/* Link: the mover's connection to this unit's database or to a peer's. Every wait ends: after a
 * time of silence, or when the process stops. */
#ifndef PUNIT_MOVER_LINK_H
#define PUNIT_MOVER_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>

/* How many statements a connection keeps prepared. The mover has some twenty. */
#define LINK_STATEMENTS 32

typedef struct {
    PGconn     *pg;                        /* NULL: closed */
    long        timeout_ms;                /* silence of the other side that ends a wait */
    char        sqlstate[6];               /* of the last error; "" when the connection failed */
    char        error[512];                /* one line */
    const char *prepared[LINK_STATEMENTS]; /* by name "sN" */
    int         nprepared;
    double      trip_ms;   /* round trip of an empty statement, at best; 0: not measured */
    double      idle_ms;   /* sum of the round trips so far, over all connections of this link */
    void (*pause)(void *); /* called between the lines of a COPY; may be NULL */
    void *pause_of;
} link_t;

/* Connects within timeout_ms. False: see link->error. */
bool link_open(link_t *link, const char *conninfo, long timeout_ms);
void link_close(link_t *link);

/* Open and between transactions. */
bool link_ready(const link_t *link);

/* Sends several statements as one simple query, in one round trip. link_next gives the results. */
bool link_send(link_t *link, const char *sql);

/* The next result (tuples, command, copy), which the caller clears. NULL after the last one, and on
 * an error: then link->error is not empty. */
PGresult *link_next(link_t *link);

/* After a result PGRES_COPY_OUT: a line, which the caller frees by PQfreemem, and its length. 0 at
 * the end, -1 on an error. */
int link_copy_line(link_t *link, char **line);

/* Drops what is left of a query and ends an open transaction, so that the link is ready again. If
 * that fails, the link is closed. */
void link_settle(link_t *link);

/* Runs one statement with text parameters (NULL = null). NULL on an error. A statement with
 * parameters stays prepared, so its text must be a constant. */
PGresult *link_call(link_t *link, const char *sql, int n, const char *const *values);

/* BEGIN and one such statement, in one round trip. */
PGresult *link_begin(link_t *link, const char *sql, int n, const char *const *values);

/* Runs statements whose results do not matter, in one round trip. */
bool link_run(link_t *link, const char *sql);

/* Measures the round trip. */
bool link_measure(link_t *link);

/* Whether a later attempt may succeed: the last error was one of connection, restart, lock,
 * serialization or resources. */
bool link_error_passes(const link_t *link);

#endif
