/*
 * The arbiter of each bucket of login names: the unit that decides about a name.
 */
#ifndef PUNITCTL_MESH_ARBITERS_H
#define PUNITCTL_MESH_ARBITERS_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Gives this unit the same arbiters as its peers, once. A unit that has arbiters keeps them. If no
 * peer has any, all units are new and assign them alike, but only after every peer has answered.
 * A unit that assigned alone beside a running system would be a second arbiter of names it lacks.
 * A peer that does not answer is a failure if `joining`, else `mesh join` settles it later.
 * Until then this unit registers no user. False with the reason printed. */
bool arbiters_settle(PGconn *db, bool joining);

/* True if this unit and a peer that answers are both the only arbiter, so that they are two
 * systems. The reason is printed. */
bool arbiters_apart(PGconn *db);

/* Makes this unit, the only one of a new system, the arbiter of all names. *fresh: it was not yet.
 * False with the reason printed: it has peers, and takes the arbiters from them. */
bool arbiters_found(PGconn *db, bool *fresh);

#endif
