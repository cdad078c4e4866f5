/*
 * The schema of a unit's database, brought to what the files of sql/ say.
 *
 * One transaction does everything. Files of tables/ that are new here run in the order of their
 * numbers. Then each file of functions/ that is new or changed runs, in whatever order works.
 * Objects that left their file, or whose file is gone, are dropped, never with CASCADE.
 */
#ifndef PUNITCTL_UNIT_SCHEMA_H
#define PUNITCTL_UNIT_SCHEMA_H

#include "punitctl/unit/unit.h"

/* Applies what `directory` has and the database lacks, and says so. `dry`: does the same, then
 * rolls all of it back. An EXIT_ code; EXIT_PENDING: a dry run found something to do. */
int schema_apply(const unit_t *unit, const char *directory, bool dry);

#endif
