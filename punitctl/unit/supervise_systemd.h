/*
 * The states of a unit's processes where systemd runs them, asked of systemd over the system bus.
 */
#ifndef PUNITCTL_UNIT_SUPERVISE_SYSTEMD_H
#define PUNITCTL_UNIT_SUPERVISE_SYSTEMD_H

#include <stdbool.h>

#include "punitctl/unit/supervise.h"
#include "punitctl/unit/unit.h"

/* True if systemd runs this unit: its services read the unit.env of this very directory. */
bool supervise_systemd(const unit_t *unit);

/* The state of the process `name`. False: systemd does not run this unit. */
bool supervise_systemd_state(const unit_t *unit, const char *name, supervise_state_t *state);

/* Where the log of a process is, as the operator looks it up: a command or a file. */
const char *supervise_log(const unit_t *unit, const char *name);

#endif
