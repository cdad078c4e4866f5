#include "lib/base/clock.h"

#include <time.h>


int64_t
punit_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}


double
punit_clock_fine_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}


void
punit_clock_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}


int
punit_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double ms)
{
    long            whole = (long) ms;
    struct timespec at = { whole / 1000,
                           whole % 1000 * 1000000 + (long) ((ms - (double) whole) * 1e6) };

    return pthread_cond_timedwait(cond, lock, &at);
}


double
punit_clock_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}


void
punit_clock_pause(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}
