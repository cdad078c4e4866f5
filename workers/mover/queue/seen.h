/* Seen: users who were served here on the public side while peers forward them too ('l' reports),
 * on their way into punit.local_seen, where FENCE looks. */
#ifndef PUNIT_MOVER_QUEUE_SEEN_H
#define PUNIT_MOVER_QUEUE_SEEN_H

#include "mover/queue/report.h"

/* Notes a user and wakes the sweeper. */
void seen_add(const char *user);

/* The descriptor that becomes readable when there are some; -1 before seen_open. */
int seen_fd(void);
int seen_open(void);

/* Takes all as the text of a PostgreSQL array ({uuid,uuid}), malloc'ed; NULL when there are none.
 */
char *seen_take(void);

#endif
