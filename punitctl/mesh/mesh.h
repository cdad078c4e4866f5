/*
 * The mesh as this unit sees it.
 */
#ifndef PUNITCTL_MESH_MESH_H
#define PUNITCTL_MESH_MESH_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* An array, one object a peer: the subscription here ("incoming"), the slot it
 * reads from here ("outgoing"), lag and errors. NULL with the reason said. */
json_t *mesh_state(PGconn *db);

/* True if every peer is "ok" both ways. */
bool mesh_good(const json_t *peers);

/* Prints it as a table. */
void mesh_print(const json_t *peers);

/* True if this unit has the subscription. */
bool mesh_subscribed(PGconn *db, const char *subscription);

/* Ends it, also where its slot or peer is gone. */
bool mesh_unsubscribe(PGconn *db, const char *subscription);

/* Waits until every peer has confirmed what was written here up to now; *lsn,
 * if asked for, is up to where. False after so many seconds. */
bool mesh_arrive(PGconn *db, double seconds, const char **lsn);

#endif
