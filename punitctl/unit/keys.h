/*
 * Public keys of all units: published by each in punit.unit_key, carried by
 * the mesh, and put as files where NGINX reads them.
 */
#ifndef PUNITCTL_UNIT_KEYS_H
#define PUNITCTL_UNIT_KEYS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Puts this unit's public keys into punit.unit_key. */
bool keys_publish(const unit_t *unit);

/* Writes the keys of other units that the database knows into PUNIT_KEYS,
 * tells the database that they are held and, if any file changed (*changed of
 * them), has them read. */
bool keys_sync(const unit_t *unit, int *changed);

/* Removes keys of units that have left, once none of their tokens is good any
 * more; *until: when the last that stays may go, NULL: none is left. */
bool keys_drop(const unit_t *unit, PGconn *db, const char **until);

/* Has NGINX and the auth worker read the keys, if they run. */
bool keys_reload(const unit_t *unit);

#endif
