/* Options: the mover's part of the environment. */
#ifndef PUNIT_MOVER_OPTIONS_H
#define PUNIT_MOVER_OPTIONS_H

#include <stdbool.h>

#define MOVERS_MAX 64

typedef struct {
    int  after;        /* PUNIT_MOVE_AFTER 2: requests here within the window. */
    long window_ms;    /* PUNIT_MOVE_WINDOW 10m. */
    long quiet_ms;     /* PUNIT_MOVE_QUIET 5s: time without a request at the owner. */
    long dwell_ms;     /* PUNIT_MOVE_DWELL 10s: since the last hand-over, doubled at each flip. */
    long dwell_max_ms; /* 10 min. */
    int  movers;       /* PUNIT_MOVERS 4: moves at a time. */
    int  drain_share;  /* PUNIT_DRAIN_SHARE 10: percent of the time for paced moves; 100: all. */
    long resolve_ms;   /* PUNIT_MOVE_RESOLVE 5s: S sends RESOLVE for a user fenced for longer. */
    long max_rows;     /* PUNIT_MOVE_ROWS 1000: most rows to send while the user waits. */
    long peer_ms;      /* PUNIT_MOVE_PEER_TIMEOUT 10s: a peer that is silent for so long is away. */
    long copy_keep_ms; /* PUNIT_COPY_KEEP 30 days: a copy unchanged for longer is removed. */

    const char *socket; /* PUNIT_SOCKET, or else PUNIT_DIR/sock/mover.sock. */
} options_t;

/* options_load writes them before any thread runs. */
extern options_t options;

/* Reads the environment; false after a log line. */
bool options_load(void);

#endif
