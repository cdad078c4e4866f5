/* Activate: T applies the final rows that S sends after FENCE, and becomes the owner (ACTIVATE). If
 * it cannot, it aborts. */
#ifndef PUNIT_MOVER_MOVE_ACTIVATE_H
#define PUNIT_MOVER_MOVE_ACTIVATE_H

#include "mover/errand.h"

/* Reads the final rows, which follow FENCE's answer, and activates. epoch: the old owner's. */
void activate_here(errand_t *errand, long long epoch);

#endif
