#include "mover/stop.h"

#include <stdatomic.h>

#include "lib/base/clock.h"

#define GRACE_MS 1500

static atomic_long stop_at;


void
stop_begin(void)
{
    atomic_store(&stop_at, punit_clock_ms() + GRACE_MS);
}


bool
stop_begun(void)
{
    return atomic_load(&stop_at) != 0;
}


bool
stop_now(void)
{
    long at = atomic_load(&stop_at);

    return at != 0 && punit_clock_ms() >= at;
}
