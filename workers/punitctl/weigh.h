/*
 * Weigh: what a move would send, without moving anybody.
 */
#ifndef PUNITCTL_WEIGH_H
#define PUNITCTL_WEIGH_H

#include <stdbool.h>

#include "punitctl/unit.h"

/* Prints mode, rows, bytes and about how long a move of the user to the unit
 * would take. Gives an EXIT_ code. */
int weigh(const struct unit *unit, const char *user, const char *to, bool json);

#endif
