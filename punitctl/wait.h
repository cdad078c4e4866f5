/*
 * Waiting for a condition, with a deadline.
 */
#ifndef PUNITCTL_WAIT_H
#define PUNITCTL_WAIT_H

#include <stdbool.h>

/* Calls `done` until it returns true, for at most `seconds`. False after that time. */
bool wait_until(bool (*done)(void *context), void *context, double seconds);

/* The text as a number of seconds; -1 if it is not one. */
double wait_seconds(const char *text);

#endif
