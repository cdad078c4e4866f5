/*
 * Who decides about a login name: the arbiter of each bucket of their hashes.
 */
#ifndef PUNITCTL_MESH_ARBITERS_H
#define PUNITCTL_MESH_ARBITERS_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Gives this unit the same arbiters as its peers have, once; a unit that has
 * some keeps them. Where no peer has any, all are new and deal them alike, but
 * only when every peer has said so: a unit that dealt for itself beside a
 * running system would be a second arbiter of names it has not got. `joining`:
 * a peer that cannot be asked is a failure, else it is left to `mesh join`.
 * Until then nobody registers here. False with the reason said. */
bool arbiters_settle(PGconn *db, bool joining);

#endif
