/* Abort: T cannot apply what FENCE sent. T refuses the epoch for good, tells S, and S takes the
 * user back (ABORT). An operator's cancel ends the same way. */
#ifndef PUNIT_MOVER_MOVE_ABORT_H
#define PUNIT_MOVER_MOVE_ABORT_H

#include "mover/errand.h"

/* Refuses what the owner gave away at `epoch`, and tells the owner. */
void abort_move(errand_t *errand, long long epoch, const char *why);

/* Tells the owner of the refusal at task.move_epoch, which is committed here. */
void abort_tell(errand_t *errand);

#endif
