/*
 * The counts of what peers were refused, in shared memory. PostgreSQL starts with none.
 */
#ifndef GUARD_REFUSALS_H
#define GUARD_REFUSALS_H

#include "postgres.h"

#define PEER_MAX 32 /* a unit's id, as punit.peer checks it */

/* How a peer came here: which of its roles, or none yet. */
typedef enum { BY_PEER, BY_STREAM, BY_MESH, BY_LOGIN } way_t;

/* The unit that a role is for, and as what. NULL: for none. */
const char *refusals_peer(const char *role, way_t *by);

/* Counts one. `rule` is a string constant of this library. ended: the library ends the session. */
void refusals_count(const char *whose, way_t by, const char *rule, bool ended);

/* Counts an error that a peer is behind, and gives its line of the log a detail, which the peer is
 * not sent. peer, way: of this session; "": of none that was let in. */
void refusals_note(ErrorData *error, const char *peer, way_t way);

/* Shared memory: asked for, and taken under AddinShmemInitLock. */
void refusals_request(void);
void refusals_take(void);

/* The settings that show the counts. */
void refusals_define(void);

#endif
