/*
 * The mesh as this unit sees it.
 */
#ifndef PUNITCTL_MESH_MESH_H
#define PUNITCTL_MESH_MESH_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* An array with one object a peer: the subscription here ("incoming"), the slot that the peer reads
 * from here ("outgoing"), lag and errors. NULL with the reason printed. */
json_t *mesh_state(PGconn *db);

/* True if every peer is "ok" both ways. */
bool mesh_good(const json_t *peers);

/* Prints it as a table. */
void mesh_print(const json_t *peers);

/* What this unit refused from its peers, of every kind, the last ones first: one object a peer,
 * source and rule. NULL with the reason printed. */
json_t *mesh_refusals(PGconn *db);

/* Prints one line for each: ALARM if the last one is MESH_ALARM old at most. A unit that was
 * removed and knocks raises none. */
void mesh_print_refusals(const json_t *refusals);

#define MESH_ALARM "15 min"

/* Waits until every peer has confirmed all earlier writes of this unit. *lsn, if not NULL, gets the
 * position they reach. False after so many seconds. */
bool mesh_arrive(PGconn *db, double seconds, const char **lsn);

#endif
