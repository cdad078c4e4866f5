/* Ended keys: public keys that sign no more, of this unit and of its peers. */
#ifndef PUNIT_MOVER_TEND_ENDED_KEYS_H
#define PUNIT_MOVER_TEND_ENDED_KEYS_H

#include "mover/link.h"

/* Removes the files of keys that are over, and tells NGINX to read its keys again. */
void ended_keys_remove(link_t *local);

#endif
