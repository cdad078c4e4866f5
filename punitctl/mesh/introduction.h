/*
 * The introductions of invited units (unit/invite.h), as the peers keep them.
 */
#ifndef PUNITCTL_MESH_INTRODUCTION_H
#define PUNITCTL_MESH_INTRODUCTION_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/address.h"

/* Asks the peers for the introduction of unit `id`. Only one that the authority of `certificates`
 * (PEM) has signed counts. False with the reason printed. */
bool introduction_find(PGconn *db, const char *certificates, const char *id, unit_address_t *unit);

/* The units that were invited at a unit, by a session there. */
unit_address_t *introduction_list(PGconn *there, const char *certificates, size_t *count);

/* Names the units that were invited at a peer and are unknown here. */
void introduction_mention(PGconn *db);

#endif
