/*
 * The memcached servers of a unit.
 */
#ifndef PUNITCTL_UNIT_GRID_H
#define PUNITCTL_UNIT_GRID_H

#include <jansson.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* An array, one object a server: grid, server, state (up, down), items, hits, misses. *good becomes
 * false if one is down. */
json_t *grid_state(const unit_t *unit, bool *good);

#endif
