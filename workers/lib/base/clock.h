/* Clock: monotonic time for every wait, wall-clock time for people and records. */
#ifndef PUNIT_LIB_BASE_CLOCK_H
#define PUNIT_LIB_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC, whole and with their fraction. */
int64_t punit_clock_ms(void);
double  punit_clock_fine_ms(void);

/* Makes a condition that is waited for by CLOCK_MONOTONIC. */
void punit_clock_cond(pthread_cond_t *cond);

/* Waits for such a condition until `ms` of that clock. 0, or ETIMEDOUT. */
int punit_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double ms);

/* Sleeps for `ms`. A signal may end that early. */
void punit_clock_pause(long ms);

/* Seconds since 1970. Nothing waits by this clock. */
double punit_clock_s(void);

#endif
