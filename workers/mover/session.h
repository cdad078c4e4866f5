/* Session: a connection to this unit's own database as user punit_mover. */
#ifndef PUNIT_MOVER_SESSION_H
#define PUNIT_MOVER_SESSION_H

#include "mover/link.h"
#include "mover/move/plan.h"

/* The session of a mover thread. The plan's staging tables live in its connection. */
typedef struct {
    link_t local;
    plan_t plan;
} session_t;

/* Opens a connection with the settings that every thread needs. False while the database is away,
 * which is logged once for each change. */
bool session_open(link_t *local);

/* For threads that listen: closes what is left of a connection and opens it anew, with the one
 * statement `listen` (or NULL). After a failure it waits a moment and gives false. */
bool session_reopen(link_t *local, const char *listen);

/* Makes the session ready for a move, opening it anew if necessary. False while the database is
 * away. */
bool session_ready(session_t *session);

/* Reads the plan again, because the registered tables have changed since. */
bool session_replan(session_t *session);

void session_close(session_t *session);

/* Logs the error of a statement as `event`, and makes the connection ready again. */
void session_failed(link_t *local, const char *event, const char *what);

#endif
