/* Retire: T owns the user and tells S, whose FENCED becomes COPY (RETIRE). */
#ifndef PUNIT_MOVER_MOVE_RETIRE_H
#define PUNIT_MOVER_MOVE_RETIRE_H

#include "mover/errand.h"

/* Sends RETIRE and ends the move's record. */
void retire_tell(errand_t *errand);

/* This unit owns the user, but the move's record is before RETIRE. Sends RETIRE if this move made
 * the user ours, or else ends the record. */
void retire_unheard(errand_t *errand);

#endif
