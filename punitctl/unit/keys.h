/*
 * Public keys of all units. Each unit publishes its own in punit.unit_key, the mesh replicates
 * them, and punitctl writes them as files for NGINX.
 */
#ifndef PUNITCTL_UNIT_KEYS_H
#define PUNITCTL_UNIT_KEYS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Puts this unit's public keys into punit.unit_key. */
bool keys_publish(const unit_t *unit);

/* Writes the keys of other units from the database into PUNIT_KEYS and records that this unit holds
 * them. If *changed, the number of new files, is not 0, NGINX and auth read their keys again. */
bool keys_sync(const unit_t *unit, int *changed);

/* Removes keys of units that have left, as soon as all tokens they signed have expired. *until is
 * the time when the last remaining key may go, NULL: none remains. */
bool keys_drop(const unit_t *unit, PGconn *db, const char **until);

/* Makes NGINX and auth read the keys, if they run. No request is lost. */
bool keys_reload(const unit_t *unit);

/* Waits until auth signs with its key `kid`, as its own key set says. False: it does not yet. */
bool keys_wait(const unit_t *unit, const char *kid);

#endif
