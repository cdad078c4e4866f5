#include "punitctl/wait.h"

#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double) at.tv_sec + (double) at.tv_nsec / 1e9;
}

bool wait_until(bool (*done)(void *context), void *context, double seconds)
{
    double end = now() + seconds;

    while (!done(context)) {
        const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

        if (now() >= end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

double wait_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    return end != text && *end == '\0' && seconds >= 0 && seconds <= 1e6
           ? seconds : -1;
}
