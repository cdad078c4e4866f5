/* Mover: a thread that looks after one user at a time. */
#ifndef PUNIT_MOVER_MOVER_H
#define PUNIT_MOVER_MOVER_H

#include "mover/move/plan.h"
#include "mover/peer.h"
#include "mover/queue/queue.h"

typedef struct {
    link_t   local;
    plan_t   plan;
    peers_t *peers;
} mover_t;

/* Body of a mover thread; ends when the process stops. */
void *mover_run(void *unused);

/* This unit's database, opened anew if need be; false while it is away (logged once for each
 * change). */
bool mover_local(mover_t *mover);

/* The plan of another shape: registered tables have changed since it was read. */
bool mover_replan(mover_t *mover);

/* Opens a session of punit_mover as every thread needs it. */
bool local_open(link_t *link);

#endif
