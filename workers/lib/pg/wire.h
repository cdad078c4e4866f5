/* Wire: the calls of libpq that wait for a server. Every wait ends at a deadline, given in the time
 * of punit_clock_ms. */
#ifndef PUNIT_LIB_PG_WIRE_H
#define PUNIT_LIB_PG_WIRE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The deadline of a wait without one. */
#define PUNIT_WIRE_NEVER INT64_MAX

typedef enum {
    PUNIT_WIRE_READY,
    PUNIT_WIRE_LATE,    /* the deadline has passed */
    PUNIT_WIRE_BROKEN,  /* the connection has ended */
    PUNIT_WIRE_STOPPED, /* stop() has ended the wait */
} punit_wire_t;

/* Asked at least every 100 ms while a wait goes on. True ends the wait. */
typedef bool (*punit_wire_stop_pt)(void);

/* Connects, in non-blocking mode. `stop` may be NULL. NULL on failure: then `why` holds one line.
 */
PGconn *punit_wire_open(const char *conninfo, int64_t deadline, punit_wire_stop_pt stop, char *why,
                        size_t size);

/* Waits for events of poll(2) on the connection's socket. `stop` may be NULL. */
punit_wire_t punit_wire_wait(PGconn *pg, short events, int64_t deadline, punit_wire_stop_pt stop);

/* Sends one statement with text parameters (NULL = null), without preparing it. False when the
 * connection breaks or the deadline passes first. */
bool punit_wire_send(PGconn *pg, const char *sql, int n, const char *const *values,
                     int64_t deadline);

/* Takes all results of what was sent. *kept becomes the first error, or else the last result. NULL
 * at the start, it stays NULL when none came. After LATE the call may be repeated. */
punit_wire_t punit_wire_collect(PGconn *pg, int64_t deadline, PGresult **kept);

/* Sends one statement and takes its result. NULL when none came by the deadline. */
PGresult *punit_wire_execute(PGconn *pg, const char *sql, int n, const char *const *values,
                             int64_t deadline);

/* Copies a message of libpq as one line: line feeds and tabs become blanks, the last ones go. */
void punit_wire_line(char *line, size_t size, const char *message);

#endif
