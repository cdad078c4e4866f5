#include "mover/options.h"

#include <stdio.h>

#include "lib/base/config.h"
#include "lib/base/log.h"

#define MINUTE_MS 60000L

/* The queue keeps the times of at most so many requests of a user. */
#define AFTER_MAX 64

options_t options;


bool
options_load(void)
{
    static char path[512];

    options.after = (int) punit_config_number("PUNIT_MOVE_AFTER", 2, 1, AFTER_MAX);
    options.window_ms = punit_config_time("PUNIT_MOVE_WINDOW", 10 * MINUTE_MS);
    options.quiet_ms = punit_config_time("PUNIT_MOVE_QUIET", 5000);
    options.dwell_ms = punit_config_time("PUNIT_MOVE_DWELL", 10000);
    options.dwell_max_ms = 10 * MINUTE_MS;
    options.movers = (int) punit_config_number("PUNIT_MOVERS", 4, 1, MOVERS_MAX);
    options.drain_share = (int) punit_config_number("PUNIT_DRAIN_SHARE", 10, 1, 100);
    options.resolve_ms = punit_config_time("PUNIT_MOVE_RESOLVE", 5000);
    options.max_rows = punit_config_number("PUNIT_MOVE_ROWS", 1000, 0, 1000000);
    options.peer_ms = punit_config_time("PUNIT_MOVE_PEER_TIMEOUT", 10000);
    options.copy_keep_ms = punit_config_time("PUNIT_COPY_KEEP", 30 * 24 * 60 * MINUTE_MS);

    if (*punit_config.socket != '\0') {
        options.socket = punit_config.socket;
        return true;
    }

    if (*punit_config.dir == '\0') {
        punit_log(PUNIT_LOG_ERROR, "configuration",
                  "variable=PUNIT_SOCKET value=- expected=\"a path\"");
        return false;
    }

    snprintf(path, sizeof(path), "%s/sock/mover.sock", punit_config.dir);
    options.socket = path;
    return true;
}
