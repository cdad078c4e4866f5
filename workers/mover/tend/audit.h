/* Audit: compares the old owner's copy of a moved user with the rows here right after ACTIVATE. */
#ifndef PUNIT_MOVER_TEND_AUDIT_H
#define PUNIT_MOVER_TEND_AUDIT_H

#include "mover/peer.h"

/* Audits the moves that are due. */
void audit_due(link_t *local, peers_t *peers);

#endif
