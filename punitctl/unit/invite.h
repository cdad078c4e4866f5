/*
 * The invite of a unit: one file with all that a new machine needs to become the unit.
 *
 * It has the certificate of the authority, and a letter of the authority (authority.h). The letter
 * is JSON: the unit, its certificate and key, the pepper, and the other units. A second letter, the
 * introduction, has the unit and its addresses only. Units show it to each other.
 */
#ifndef PUNITCTL_UNIT_INVITE_H
#define PUNITCTL_UNIT_INVITE_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/address.h"
#include "punitctl/unit/authority.h"

typedef struct {
    unit_address_t        unit;
    const char           *from;              /* the unit that invites */
    const char           *number;            /* a UUID; the last invite of a unit counts */
    const char           *expires;           /* RFC 3339, UTC */
    const char           *authority;         /* certificates, PEM */
    const char           *certificate, *key; /* PEM */
    const char           *pepper;
    const unit_address_t *peers; /* the units of the system, `from` among them */
    size_t                peer_count;
} invite_t;

/* The text of the file. NULL with the reason printed. */
const char *invite_text(const invite_t *invite, const authority_t *authority);

/* Reads a file. False with the reason printed: it is no invite, was changed, or has expired. */
bool invite_read(const char *path, invite_t *invite);

/* The unit of invite->peers that invites. */
const unit_address_t *invite_from(const invite_t *invite);

/* The introduction of a unit. NULL with the reason printed. */
const char *invite_introduction(const unit_address_t *unit, const authority_t *authority);

/* Reads an introduction of unit `id`, signed by one of these certificates. False: it is not one. */
bool invite_introduced(const char *letter, const char *certificates, const char *id,
                       unit_address_t *unit);

#endif
