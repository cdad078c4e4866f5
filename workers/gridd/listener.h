/* Listener: gridd's one connection to PostgreSQL, which listens. A broken one is replaced. */
#ifndef PUNIT_GRIDD_LISTENER_H
#define PUNIT_GRIDD_LISTENER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "gridd/state.h"

typedef struct {
    const char *name;   /* of NOTIFY; NULL ends the table */
    const char *listen; /* the statement, static */
    void (*notified)(state_t *state, const char *payload);
} channel_t;

/* Takes over conninfo, which is malloc'ed. NULL without memory. */
listener_t *listener_create(char *conninfo, const channel_t *channels);
void        listener_destroy(listener_t *listener);

/* Connects and listens if there is no connection and it is time to try. True when it has just done
 * so. */
bool listener_stand(listener_t *listener);

/* When to try again. `otherwise` while the connection stands. */
int64_t listener_retry_at(const listener_t *listener, int64_t otherwise);

/* The socket for poll(2). -1 while there is no connection. */
int listener_socket(const listener_t *listener);

/* Takes the notifications that have come and calls the channels' functions. */
void listener_notifications(listener_t *listener, state_t *state);

/* The rows of a static statement with `n` parameters, which the caller clears. NULL when there is
 * no connection, or when the statement failed, which is logged. A new connection follows then. */
PGresult *listener_query(listener_t *listener, const char *sql, int n, const char *const *values);

#endif
