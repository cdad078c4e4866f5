/* Link: gridd's one connection to PostgreSQL, which listens. A broken one is replaced. */
#ifndef PUNIT_GRIDD_LINK_H
#define PUNIT_GRIDD_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/grid/grid.h"

typedef struct gridd_link gridd_link_t;

/* The state that the parts of gridd share. */
typedef struct {
    gridd_link_t *link;
    punit_grid_t *grid;
    punit_grid_t *tokens;
    bool          changed;     /* a NOTIFY says that a generation rose */
    bool          catch_up;    /* the token grid may lack what has ended */
    bool          grid_silent; /* as logged last */
    bool          tokens_silent;
} gridd_state_t;

typedef struct {
    const char *name;   /* of NOTIFY; NULL ends the table */
    const char *listen; /* the statement, static */
    void (*notified)(gridd_state_t *state, const char *payload);
} gridd_channel_t;

/* Takes over conninfo, which is malloc'ed. NULL without memory. */
gridd_link_t *gridd_link_create(char *conninfo, const gridd_channel_t *channels);
void          gridd_link_destroy(gridd_link_t *link);

/* Connects and listens if there is no connection and it is time to try. True when it has just done
 * so.
 */
bool gridd_link_stand(gridd_link_t *link);

/* When to try again. `otherwise` while the connection stands. */
int64_t gridd_link_retry_at(const gridd_link_t *link, int64_t otherwise);

/* The socket for poll(2). -1 while there is no connection. */
int gridd_link_socket(const gridd_link_t *link);

/* Takes the notifications that have come and calls the channels' functions. */
void gridd_link_notifications(gridd_link_t *link, gridd_state_t *state);

/* The rows of a static statement without parameters, which the caller clears. NULL when there is no
 * connection, or when the statement failed, which is logged. */
PGresult *gridd_link_query(gridd_link_t *link, const char *sql);

/* One line at each change between answering and not. */
void gridd_grid_state(bool *silent, bool silent_now, const char *which);

#endif
