/*
 * unit.env: the settings of a unit, read by systemd's EnvironmentFile, by sh and by punitctl.
 * doc/OPERATIONS.md describes each.
 */
#ifndef PUNITCTL_UNIT_ENVIRONMENT_H
#define PUNITCTL_UNIT_ENVIRONMENT_H

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* The arguments of `unit init`, NULL where absent. */
typedef struct {
    const char        *http, *listener, *pg, *https, *admin;
    bool               https_certificate; /* --https-cert is given */
    const char *const *own;               /* NAME=value, own_count of them */
    int                own_count;
    bool               news; /* set by environment_make: one of them was not so before */
} environment_t;

/* Fills unit->settings from DIR/unit.env if it exists, then from `given`, then with defaults. False
 * with the reason printed. */
bool environment_make(unit_t *unit, environment_t *given);

/* Writes DIR/unit.env: changes the lines whose setting changed, and adds the missing ones. */
file_result_t environment_write(const unit_t *unit);

#endif
