/* Key: the end of public keys that sign no more, of this unit and of its peers. */
#ifndef PUNIT_MOVER_TEND_KEY_H
#define PUNIT_MOVER_TEND_KEY_H

#include "mover/link.h"

/* Removes the files of keys that are over, and tells NGINX to read its keys again. */
void key_end_over(link_t *local);

#endif
