#include "punitctl/wait.h"

#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"


bool
wait_until(bool (*done)(void *context), void *context, double seconds)
{
    double end = punit_clock_fine_ms() + 1e3 * seconds;

    while (!done(context)) {
        const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

        if (punit_clock_fine_ms() >= end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}


double
wait_seconds(const char *text)
{
    char  *end;
    double seconds = strtod(text, &end);

    return end != text && *end == '\0' && seconds >= 0 && seconds <= 1e6 ? seconds : -1;
}
