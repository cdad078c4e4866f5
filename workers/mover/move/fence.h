/* Fence: T asks S to give the user away (FENCE). The message brings the final rows in the same
 * round trip; ACTIVATE follows. */
#ifndef PUNIT_MOVER_MOVE_FENCE_H
#define PUNIT_MOVER_MOVE_FENCE_H

#include "mover/errand.h"

typedef enum {
    FENCE_STOP,  /* The outcome is set: moved, not yet, elsewhere or aborted. */
    FENCE_PULL,  /* S changed nothing: the copy here is too old. */
    FENCE_EPOCH, /* S changed nothing: task.move_epoch is right now. */
} fence_next_t;

/* Sends FENCE unless it is sent, reads its answer, and activates. */
fence_next_t fence_and_activate(errand_t *errand, bool sent);

/* The first half of fence_and_activate, for a caller that sends FENCE early. */

/* Notes FENCE at task.move_epoch in the move's record: from then on the move must be ended. False
 * after the outcome is set. */
bool fence_note(errand_t *errand);

/* FENCE was noted, but is not sent after all. False after the outcome is set. */
bool fence_unnote(errand_t *errand);

/* Sends FENCE for a copy that will be at this fork and ver. A broken link shows when the answer is
 * read. */
void fence_send(errand_t *errand, const char *fork, long long ver);

/* FENCE was sent, but the copy that it needs can never be made. Reads the answer and aborts. */
void fence_withdraw(errand_t *errand, const char *why);

#endif
