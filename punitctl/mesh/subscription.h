/*
 * A subscription of this unit: it reads from a slot at one peer.
 */
#ifndef PUNITCTL_MESH_SUBSCRIPTION_H
#define PUNITCTL_MESH_SUBSCRIPTION_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

typedef struct {
    const char *id, *pg;      /* the peer */
    const char *name;         /* of the subscription, here */
    const char *slot;         /* at the peer */
    const char *publications; /* of the peer, for this unit */
    const char *unit;         /* this unit */
} subscription_t;

/* The subscription of `unit` to a peer, whether it exists or not. */
subscription_t subscription_to(const unit_t *unit, const char *id, const char *pg);

/* True if this unit has the subscription. */
bool subscription_exists(PGconn *db, const char *name);

/* Asks the peer which tables it publishes. False with the reason printed: it does not answer, or it
 * names a table that the mesh does not bring here. */
bool subscription_allowed(PGconn *db, const subscription_t *s);

/* Makes the slot and the subscription, which belongs to the peer's role. Rows of the peer that are
 * here are deleted and copied again. The peer must be subscription_allowed. False with the reason
 * printed. */
bool subscription_create(const unit_t *unit, PGconn *db, const subscription_t *s);

/* Gives an existing subscription the peer's present address, streaming role and publications, and
 * gives it to the peer's role here. The peer must be subscription_allowed. False with the reason
 * printed. */
bool subscription_refresh(const unit_t *unit, PGconn *db, const subscription_t *s);

/* Drops the subscription, even if its slot or the peer is gone. */
bool subscription_drop(PGconn *db, const char *name);

/* Waits until the peer's slot has no reader. False after `seconds`. */
bool subscription_wait_slot(const subscription_t *s, double seconds);

/* Waits until every table of every peer is copied, then takes over the peers' keys. Returns an
 * EXIT_ code. */
int subscription_wait_copied(const unit_t *unit, PGconn *db, double seconds);

#endif
