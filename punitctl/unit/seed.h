/*
 * The first reference rows of a system, with this unit as their author.
 */
#ifndef PUNITCTL_UNIT_SEED_H
#define PUNITCTL_UNIT_SEED_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Writes the sports and metric types that are missing. False with the reason printed. */
bool seed_write(PGconn *db);

#endif
