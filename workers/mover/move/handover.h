/* Handover: decides from this unit's database alone which step a user needs now. */
#ifndef PUNIT_MOVER_MOVE_HANDOVER_H
#define PUNIT_MOVER_MOVE_HANDOVER_H

#include "mover/peer.h"
#include "mover/queue/queue.h"
#include "mover/session.h"

/* Does what can be done now, and sets the outcome. A crash may cut off every step: the next errand
 * goes on from what is committed. */
void handover_run(session_t *session, peers_t *peers, job_t *job, outcome_t *outcome);

#endif
