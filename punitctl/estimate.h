/*
 * Weigh: what a move would send, without moving anybody.
 */
#ifndef PUNITCTL_ESTIMATE_H
#define PUNITCTL_ESTIMATE_H

#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Prints mode, rows, bytes and about how long a move of the user to the unit
 * would take. Gives an EXIT_ code. */
int weigh(const struct unit *unit, const char *user, const char *to, bool json);

#endif
