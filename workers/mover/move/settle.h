/* Settle: the messages that end a hand-over, each repeated until it is answered. */
#ifndef PUNIT_MOVER_MOVE_SETTLE_H
#define PUNIT_MOVER_MOVE_SETTLE_H

#include "mover/move/handover.h"

/* RETIRE: this unit owns him, the old owner is to become a copy. */
void settle_retire(handover_t *h);

/* REFUSED: this unit has committed never to own him at that epoch. */
void settle_refuse(handover_t *h);

/* RESOLVE: fenced here for too long; asks the unit he was to go to, and acts on the answer. */
void settle_resolve(handover_t *h);

/* He is owned here while the record of his move says otherwise. */
void settle_owned(handover_t *h);

/* An operator's wish that another unit shall take him. */
void settle_pass(handover_t *h);

#endif
