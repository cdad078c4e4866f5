/*
 * What an invited unit does with its invite.
 */
#ifndef PUNITCTL_MESH_INVITED_H
#define PUNITCTL_MESH_INVITED_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/invite.h"
#include "punitctl/unit/unit.h"

/* Asks the unit that invites what the invite is worth. Nothing of the new unit needs to exist.
 * False with the reason printed. */
bool invited_ask(const invite_t *invite);

/* Makes the units of the invite known to the new unit, and those that were invited after it was
 * written, and joins the mesh. The unit that invites must answer, the others may come later. False
 * with the reason printed. */
bool invited_join(const unit_t *unit, PGconn *db, const invite_t *invite);

#endif
