/* Pass on: an operator asked this unit that another unit take the user. The wish is passed on to
 * that unit. */
#ifndef PUNIT_MOVER_MOVE_PASS_ON_H
#define PUNIT_MOVER_MOVE_PASS_ON_H

#include "mover/errand.h"

/* Passes the wish on, and ends its record by the answer. */
void pass_on(errand_t *errand);

#endif
