/*
 * The schema: sql/<number>-<topic>.sql, applied forward only, once, in name
 * order, each in a transaction of its own.
 */
#ifndef PUNITCTL_UNIT_SCHEMA_H
#define PUNITCTL_UNIT_SCHEMA_H

#include "punitctl/unit/unit.h"

/* Applies the files of `directory` that the database has not seen and says
 * each. A file applied before must be unchanged (SHA-256). An EXIT_ code. */
int schema_apply(const unit_t *unit, const char *directory);

#endif
