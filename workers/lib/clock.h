/* The clocks: one that everything waits by, one for people and records. */
#ifndef PUNIT_CLOCK_H
#define PUNIT_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC; fine: with their fraction. */
int64_t punit_clock_ms(void);
double punit_clock_fine_ms(void);

/* Seconds of the epoch; nothing waits by it. */
double punit_clock_s(void);

#endif
