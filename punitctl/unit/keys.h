/*
 * Public keys of all units. Each unit publishes its own in punit.unit_key, the mesh replicates
 * them, and punitctl writes them as files for NGINX.
 */
#ifndef PUNITCTL_UNIT_KEYS_H
#define PUNITCTL_UNIT_KEYS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Puts this unit's public keys into punit.unit_key. Those older than the one that signs end. */
bool keys_publish(const unit_t *unit);

/* Writes the keys of other units from the database into PUNIT_KEYS and records that this unit holds
 * them. If *changed, the number of new files, is not 0, NGINX and auth read their keys again. */
bool keys_sync(const unit_t *unit, int *changed);

/* Removes keys that are over: those that stopped signing, and those of units that have left. A key
 * is over as soon as all tokens that it signed have expired. *until is the time when the last key
 * of a unit that left may go. NULL: no such key remains. */
bool keys_drop(const unit_t *unit, PGconn *db, const char **until);

/* The key signs here. The older ones of this unit end when their last tokens have expired, or after
 * PUNIT_KEY_KEEP. */
bool keys_end_older(const unit_t *unit, PGconn *db, const char *kid);

/* Makes NGINX and auth read the keys, if they run. No request is lost. */
bool keys_reload(const unit_t *unit);

/* Makes auth read its private keys, and waits until it signs with `kid`, as its own key set says.
 * NGINX holds the public half already. False: auth does not sign with it yet. */
bool keys_use(const unit_t *unit, const char *kid);

#endif
