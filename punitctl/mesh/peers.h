/*
 * Sessions at this unit and at its peers, for verbs that ask all of them.
 */
#ifndef PUNITCTL_MESH_PEERS_H
#define PUNITCTL_MESH_PEERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/unit.h"

#define PEERS_MOST 64

struct peer {
    const char *id;
    PGconn     *db; /* NULL: out of reach, for `problem` */
    const char *problem;
    const char *incarnation; /* as this unit knows it; NULL: unknown */
};

struct peers {
    struct peer unit[PEERS_MOST]; /* the first is this unit */
    size_t      count;
    const char *incarnation; /* this unit's */
};

/* Opens all of them; at this unit as punit_mover. False with the reason said:
 * this unit's database does not answer. */
bool peers_open(struct peers *peers, const struct unit *unit);
void peers_close(struct peers *peers);

/* NULL: there is no such unit. */
struct peer *peers_find(struct peers *peers, const char *id);

#endif
