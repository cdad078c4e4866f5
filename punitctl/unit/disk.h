/*
 * The space on the disks of a unit.
 */
#ifndef PUNITCTL_UNIT_DISK_H
#define PUNITCTL_UNIT_DISK_H

#include <jansson.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* An array, one object a directory (the unit's, and its database's): path, state, free_bytes,
 * free_percent. `state` is "low" below 10 %, and "full" below 1 GiB. *good becomes false if one is
 * full. */
json_t *disk_state(const unit_t *unit, bool *good);

#endif
