#include "gridd/state.h"

#include "lib/base/log.h"


void
state_note_grid(bool *silent, bool silent_now, const char *which)
{
    if (*silent != silent_now) {
        *silent = silent_now;
        punit_log(silent_now ? PUNIT_LOG_WARN : PUNIT_LOG_INFO,
                  silent_now ? "grid-down" : "grid-up", "grid=%s", which);
    }
}
