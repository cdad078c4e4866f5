/*
 * This unit and its peers: sessions at them, for verbs that ask all of them, and their addresses.
 */
#ifndef PUNITCTL_MESH_PEERS_H
#define PUNITCTL_MESH_PEERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/address.h"
#include "punitctl/unit/unit.h"

#define PEERS_MOST 64

typedef struct {
    const char *id;
    PGconn     *db; /* NULL: out of reach, for `problem` */
    const char *problem;
    const char *incarnation; /* as this unit knows it; NULL: unknown */
} peer_t;

typedef struct {
    peer_t      unit[PEERS_MOST]; /* the first is this unit */
    size_t      count;
    const char *incarnation; /* this unit's */
} peers_t;

/* Opens all sessions, at this unit as punit_mover. False with the reason printed if this unit's
 * database does not answer. */
bool peers_open(peers_t *peers, const unit_t *unit);
void peers_close(peers_t *peers);

/* The unit called `id`, or NULL. */
peer_t *peers_find(peers_t *peers, const char *id);

/* Calls `look` with a session at each peer that answers, one after the other, until it returns
 * true. False: it never did. peer->incarnation is not set. */
bool peers_each(PGconn *db, bool (*look)(void *context, const peer_t *peer), void *context);

/* The addresses of this unit and then of its peers, all but `without`. NULL with the reason
 * printed. */
unit_address_t *peers_addresses(const unit_t *unit, PGconn *db, const char *without, size_t *count);

#endif
