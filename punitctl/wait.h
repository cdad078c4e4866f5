/*
 * Waiting for a condition, with a deadline.
 */
#ifndef PUNITCTL_WAIT_H
#define PUNITCTL_WAIT_H

#include <stdbool.h>

/* Asks `done` again and again, at most for `seconds`; true once it says so. */
bool wait_until(bool (*done)(void *context), void *context, double seconds);

/* A number of seconds; -1 if it is none. */
double wait_seconds(const char *text);

#endif
