/*
 * The owner of each file of a unit whose programs have users of their own (process_apart). Every
 * other unit belongs to one user, and nothing happens here.
 */
#ifndef PUNITCTL_UNIT_OWNERS_H
#define PUNITCTL_UNIT_OWNERS_H

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Gives each file that exists to its owner, group and mode, as root, and makes what a program needs
 * to begin with. A database that runs keeps its files: PostgreSQL's start gives them to punit-db.
 * FILE_FAILED with the reason printed. */
file_result_t owners_give(const unit_t *unit);

/* The first file that is not as the table says: "private belongs to punit:punit (mode 700), not to
 * punit-auth:punit-auth (mode 700)". NULL: all are. Asks process_apart first. */
const char *owners_problem(const unit_t *unit);

/* True if the cluster belongs to PostgreSQL's user. After an upgrade it does so from the next start
 * of PostgreSQL on. */
bool owners_cluster(const unit_t *unit);

#endif
