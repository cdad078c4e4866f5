/* Local seen: users whom this unit served on its public side while peers forward them too ('l'
 * reports). The sweeper writes them into punit.local_seen, which FENCE reads. */
#ifndef PUNIT_MOVER_QUEUE_LOCAL_SEEN_H
#define PUNIT_MOVER_QUEUE_LOCAL_SEEN_H

#include "mover/queue/report.h"

/* Opens the descriptor that wakes the sweeper; -1 on an error. Called once, before any thread. */
int local_seen_open(void);

/* The descriptor, readable while there are users to take. */
int local_seen_fd(void);

/* Notes a user and wakes the sweeper. */
void local_seen_add(const char *user);

/* Takes all users as the text of a PostgreSQL array ({uuid,uuid}), to be freed. NULL if there are
 * none. */
char *local_seen_take(void);

#endif
