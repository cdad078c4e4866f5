#include "lib/base/backoff.h"


long
punit_backoff_ms(int failures, long first, long most)
{
    long ms = first;

    while (failures-- > 0 && ms < most) {
        ms *= 2;
    }

    return ms < most ? ms : most;
}
