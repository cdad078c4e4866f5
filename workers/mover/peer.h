/* Peer: kept connections to the other units, and which of them are away. */
#ifndef PUNIT_MOVER_PEER_H
#define PUNIT_MOVER_PEER_H

#include "mover/link.h"
#include "mover/queue/report.h"

typedef struct peers peers_t;

/* The connections of one thread. */
peers_t *peers_create(void);
void     peers_destroy(peers_t *peers);

/* For how long, in all, they have only waited for the network: a round trip for each question. */
double peers_idle_ms(const peers_t *peers);

/* A connection to the unit that is ready for a query, opened now if need be with the conninfo of
 * punit.peer (read through `local`) completed by the environment; NULL when the unit is unknown,
 * marked down or away. A unit that could not be reached is left alone by all threads for a while
 * that doubles up to 15 s. */
link_t *peer_link(peers_t *peers, const char *unit, link_t *local);

/* How long until the unit may be tried again, in ms. */
long peer_wait_ms(const char *unit);

/* The unit did not answer over a connection that stood; the connection is closed. */
void peer_failed(const char *unit, link_t *link);

#endif
