/*
 * Waiting for a condition, with a deadline. The operator may stop it with Ctrl-C.
 */
#ifndef PUNITCTL_WAIT_H
#define PUNITCTL_WAIT_H

#include <stdbool.h>

#include "punitctl/arguments.h"

/* Calls `done` until it returns true, for at most `seconds`. False after that time. SIGINT and
 * SIGTERM end the run: it says so, and the exit code is EXIT_INTERRUPTED. */
bool wait_until(bool (*done)(void *context), void *context, double seconds);

/* From here on SIGINT and SIGTERM end no process: wait_pause tells of them. */
void wait_begin(void);

/* Sleeps. False, at once, if SIGINT or SIGTERM came since wait_begin. */
bool wait_pause(double seconds);

/* The seconds of --within. -1 with the reason printed: the value is no number of seconds. */
double wait_within(const arguments_t *arguments);

#endif
