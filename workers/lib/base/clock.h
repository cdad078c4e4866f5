/* The clocks: one that everything waits by, one for people and records. */
#ifndef PUNIT_LIB_BASE_CLOCK_H
#define PUNIT_LIB_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC; fine: with their fraction. */
int64_t punit_clock_ms(void);
double  punit_clock_fine_ms(void);

/* A condition that is waited for by that clock, and such a wait, until `ms` of it; 0, or ETIMEDOUT.
 */
void punit_clock_cond(pthread_cond_t *cond);
int  punit_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double ms);

/* Seconds of the epoch; nothing waits by it. */
double punit_clock_s(void);

#endif
