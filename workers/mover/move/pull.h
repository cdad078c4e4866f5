/* Pull: brings the copy here up to date in rounds, until what is left to send is little. */
#ifndef PUNIT_MOVER_MOVE_PULL_H
#define PUNIT_MOVER_MOVE_PULL_H

#include "mover/move/handover.h"

typedef enum {
    PULL_DONE,  /* the copy is warm: task.ver, task.fork, task.move_epoch say what it holds */
    PULL_FENCE, /* the owner is fenced towards this unit already: FENCE must be repeated */
    PULL_SENT,  /* PULL_DONE, and FENCE is under way */
    PULL_STOP,  /* the outcome is set */
} pull_next_t;

/* want: to be followed by FENCE, so that waiting for quiet or dwell ends it here. */
pull_next_t pull_rounds(handover_t *h, bool want);

/* Sets when to look again at a user who may not be fenced yet: BUSY in its kinds. seen_ms: since he
 * was seen at the owner, -1 not lately. */
void pull_not_yet(handover_t *h, long wait_ms, long seen_ms);

/* Both shapes differ: both are named, in the log and in the record. */
void pull_shape(handover_t *h, const char *there);

#endif
