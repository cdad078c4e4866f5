/* State: what the parts of gridd share. */
#ifndef PUNIT_GRIDD_STATE_H
#define PUNIT_GRIDD_STATE_H

#include <stdbool.h>

#include "lib/base/uuid.h"
#include "lib/grid/grid.h"

#define STATE_NAMED_MAX 500

typedef struct listener listener_t;

typedef struct {
    listener_t   *listener;
    punit_grid_t *grid;
    punit_grid_t *tokens;
    bool          changed;     /* a NOTIFY says that a generation rose */
    bool          catch_up;    /* the token grid may lack what has ended */
    bool          grid_silent; /* as logged last */
    bool          tokens_silent;
    int           nnamed;
    char          named[STATE_NAMED_MAX][PUNIT_UUID_LENGTH + 1]; /* tokens, by notices */
} state_t;

/* Logs one line at each change between a grid that answers and one that does not. */
void state_note_grid(bool *silent, bool silent_now, const char *which);

#endif
