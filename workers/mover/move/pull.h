/* Pull: brings the copy here up to date in rounds, until little is left to send (PULL). */
#ifndef PUNIT_MOVER_MOVE_PULL_H
#define PUNIT_MOVER_MOVE_PULL_H

#include "mover/errand.h"

typedef enum {
    PULL_DONE,  /* The copy is warm: task.ver, task.fork, task.move_epoch say what it holds. */
    PULL_FENCE, /* The owner is fenced towards this unit already: FENCE must be repeated. */
    PULL_SENT,  /* As PULL_DONE, and FENCE is sent too. */
    PULL_STOP,  /* The outcome is set. */
} pull_next_t;

/* want: FENCE shall follow, so quiet and dwell decide whether the errand ends here. */
pull_next_t pull_rounds(errand_t *errand, bool want);

#endif
