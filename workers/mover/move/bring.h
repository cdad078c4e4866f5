/* Bring: PULL and FENCE in turn, until this unit owns the user or has a warm copy. */
#ifndef PUNIT_MOVER_MOVE_BRING_H
#define PUNIT_MOVER_MOVE_BRING_H

#include "mover/errand.h"

/* Moves the user here if an operator or the evidence says so; otherwise keeps a copy warm. */
void bring_user(errand_t *errand);

#endif
