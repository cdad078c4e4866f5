/*
 * The way into the mesh: this unit subscribes to the rows that its peers write.
 */
#ifndef PUNITCTL_MESH_JOIN_H
#define PUNITCTL_MESH_JOIN_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Subscribes to all peers, takes over the arbiters of login names, waits for the peers' rows and
 * takes over their keys. `needed` is the one peer that must answer, the others may come later. If
 * it is NULL, all must. The peers that answer are joined in any case. Returns EXIT_OK, or
 * EXIT_FAILED with the reason printed. */
int join_mesh(const unit_t *unit, PGconn *db, double seconds, const char *needed);

#endif
