/* Resolve: S has fenced the user for too long, asks T whether T has activated, and acts on the
 * answer (RESOLVE). */
#ifndef PUNIT_MOVER_MOVE_RESOLVE_H
#define PUNIT_MOVER_MOVE_RESOLVE_H

#include "mover/errand.h"

/* Asks once the user is fenced for PUNIT_MOVE_RESOLVE. */
void resolve_ask(errand_t *errand);

#endif
