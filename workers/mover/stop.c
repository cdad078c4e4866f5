#include "mover/stop.h"

#include <stdatomic.h>
#include <time.h>

#define GRACE_MS    1500

static atomic_long stop_at;


long
clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}


double
clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}


void
stop_begin(void)
{
    atomic_store(&stop_at, clock_ms() + GRACE_MS);
}


bool
stopping(void)
{
    return atomic_load(&stop_at) != 0;
}


bool
stop_now(void)
{
    long at = atomic_load(&stop_at);

    return at != 0 && clock_ms() >= at;
}
