/* Garbage: copies that nobody has used for long, and tombstones of old deletions. */
#ifndef PUNIT_MOVER_TEND_GARBAGE_H
#define PUNIT_MOVER_TEND_GARBAGE_H

#include "mover/link.h"

/* Removes what is old enough. */
void garbage_collect(link_t *local);

#endif
