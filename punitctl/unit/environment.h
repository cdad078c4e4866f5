/*
 * unit.env: the settings of a unit, read by systemd's EnvironmentFile, by sh
 * and by punitctl. doc/OPERATIONS.md says what each means.
 */
#ifndef PUNITCTL_UNIT_ENVIRONMENT_H
#define PUNITCTL_UNIT_ENVIRONMENT_H

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* What `unit init` was told; NULL where it was not. */
struct environment {
    const char        *http, *listener, *pg;
    const char *const *own; /* NAME=value, own_count of them */
    int                own_count;
};

/* Fills unit->settings from DIR/unit.env if there is one, then from `given`,
 * then with what is missing. False with the reason said. */
bool environment_make(struct unit *unit, const struct environment *given);

/* Writes DIR/unit.env. */
enum file_result environment_write(const struct unit *unit);

#endif
