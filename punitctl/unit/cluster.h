/*
 * The unit's PostgreSQL: made by initdb, configured, and started for as long
 * as punitctl needs it when the supervisor does not run it.
 */
#ifndef PUNITCTL_UNIT_CLUSTER_H
#define PUNITCTL_UNIT_CLUSTER_H

#include <stdbool.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Directory of PostgreSQL's programs: PUNIT_PG_BIN, else the newest that
 * Debian has put under /usr/lib/postgresql. NULL with the reason said. */
const char *cluster_programs(void);

/* initdb into DIR/pg; FILE_KEPT if it is there. */
file_result_t cluster_make(const unit_t *unit);

/* punit.conf, pg_hba.conf, pg_ident.conf; `listen` is ADDRESS:PORT.
 * FILE_WRITTEN if any changed: then a running server must reload. */
file_result_t cluster_configure(const unit_t *unit, const char *listen);

/* True if a server of this cluster runs. */
bool cluster_runs(const unit_t *unit);

/* Waits until a server that was just started lets clients in; false, said,
 * after `seconds`. */
bool cluster_wait(const unit_t *unit, double seconds);

/* Starts it, reachable through the unix socket alone, and waits; stops it. */
bool cluster_start(const unit_t *unit);
bool cluster_stop(const unit_t *unit);

/* Creates the database unless it is there. */
file_result_t cluster_database(const unit_t *unit);

#endif
