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

#endif
