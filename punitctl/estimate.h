/*
 * What a move would send, without moving the user.
 */
#ifndef PUNITCTL_ESTIMATE_H
#define PUNITCTL_ESTIMATE_H

#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Prints mode, rows, bytes and the approximate time of a move of the user to a unit. Returns an
 * EXIT_ code. */
int estimate_move(const unit_t *unit, const char *user, const char *to);

#endif
