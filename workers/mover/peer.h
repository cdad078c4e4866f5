/* Peer: connections to the other units, and which of these are away. */
#ifndef PUNIT_MOVER_PEER_H
#define PUNIT_MOVER_PEER_H

#include "mover/link.h"
#include "mover/queue/report.h"

typedef struct peers peers_t;

/* The connections of one thread. */
peers_t *peers_create(void);
void     peers_destroy(peers_t *peers);

/* How long they have waited for the network so far: one round trip for each statement. */
double peers_idle_ms(const peers_t *peers);

/* A connection to the unit that is ready for a query. If there is none, it is opened by the
 * conninfo of punit.peer, which is read through `local`. NULL when the unit is unknown, marked down
 * or away. All threads leave a unit alone after a failure, for a time that doubles up to 15 s. */
link_t *peer_link(peers_t *peers, const char *unit, link_t *local);

/* How long until the unit may be tried again, in ms. */
long peer_wait_ms(const char *unit);

/* Closes a connection that stood but did not answer, and marks the unit as away. */
void peer_failed(const char *unit, link_t *link);

#endif
