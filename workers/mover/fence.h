/* Fence: the hand-over itself. FENCE and the final rows from the old owner in one round trip, ACTIVATE here, or the
 * way out of whatever is found after FENCE: ABORT. */
#ifndef PUNIT_MOVER_FENCE_H
#define PUNIT_MOVER_FENCE_H

#include "mover/handover.h"

typedef enum {
    FENCE_STOP,     /* the outcome is set: moved, not yet, elsewhere, aborted */
    FENCE_PULL,     /* nothing changed there: the copy here is too old */
    FENCE_EPOCH,    /* nothing changed there: task.move_epoch is the right one now */
} fence_next_t;

fence_next_t fence_and_activate(handover_t *h);

#endif
