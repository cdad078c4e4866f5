/*
 * Makes other units known to this one.
 */
#ifndef PUNITCTL_MESH_PEER_ADD_H
#define PUNITCTL_MESH_PEER_ADD_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "lib/pg/conninfo.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/unit.h"

/* How this unit shows itself to its peers. */
punit_identity_t peer_add_identity(const unit_t *unit);

/* How a unit with that identity reaches a peer's PostgreSQL. The peer's certificate must show its
 * id, whatever its address is. NULL when the address is no part of a conninfo. */
const char *peer_add_conninfo(const punit_identity_t *self, const unit_address_t *peer);

/* Puts the peers into the database, all but this unit. False with the reason printed. */
bool peer_add(const unit_t *unit, PGconn *db, const unit_address_t *peers, size_t count);

/* Writes the peers of the database, all but `without` (NULL: all), into NGINX's configuration, and
 * makes a running NGINX read it. False with the reason printed. */
bool peer_add_nginx(const unit_t *unit, PGconn *db, const char *without);

#endif
