/* Fence: the hand-over itself. FENCE and the final rows from the old owner in one round trip,
 * ACTIVATE here, or the way out of whatever is found after FENCE: ABORT. */
#ifndef PUNIT_MOVER_MOVE_FENCE_H
#define PUNIT_MOVER_MOVE_FENCE_H

#include "mover/move/handover.h"

typedef enum {
    FENCE_STOP,  /* the outcome is set: moved, not yet, elsewhere, aborted */
    FENCE_PULL,  /* nothing changed there: the copy here is too old */
    FENCE_EPOCH, /* nothing changed there: task.move_epoch is the right one now */
} fence_next_t;

/* sent: FENCE is under way (fence_send). */
fence_next_t fence_and_activate(handover_t *h, bool sent);

/* Notes FENCE at task.move_epoch in the record, so that from then on it must be ended; false after
 * having set the outcome. */
bool fence_note(handover_t *h);

/* Sends FENCE to a copy that will be at this fork and ver; what is wrong with the link shows when
 * the answer is read. */
void fence_send(handover_t *h, const char *fork, long long ver);

/* FENCE was sent, but the copy that it builds upon could not be made, and never will: reads the
 * answer, and aborts. */
void fence_withdraw(handover_t *h, const char *why);

#endif
