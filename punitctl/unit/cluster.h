/*
 * The unit's PostgreSQL: made by initdb and configured. punitctl starts it for its own use if the
 * supervisor does not run it.
 */
#ifndef PUNITCTL_UNIT_CLUSTER_H
#define PUNITCTL_UNIT_CLUSTER_H

#include <stdbool.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Directory of PostgreSQL's programs: PUNIT_PG_BIN, else Debian's of the version that made the
 * cluster, and the newest one for a cluster that is still to be made. NULL with the reason printed.
 */
const char *cluster_programs(const unit_t *unit);

/* Runs initdb into DIR/pg. FILE_KEPT if it is there. */
file_result_t cluster_make(const unit_t *unit);

/* Writes punit.conf, pg_hba.conf and pg_ident.conf. */
file_result_t cluster_write(const unit_t *unit);

/* The same, lets postgresql.conf include punit.conf, and reloads a running server if any changed.
 */
file_result_t cluster_configure(const unit_t *unit);

/* Makes a running server read its settings and its certificate. False: none runs. */
bool cluster_reload(const unit_t *unit);

/* True if a server of this cluster runs. */
bool cluster_runs(const unit_t *unit);

/* Waits until a server that was just started accepts clients. False with the reason printed after
 * `seconds`. */
bool cluster_wait(const unit_t *unit, double seconds);

/* Starts the server, reachable only through the unix socket, and waits until it runs. */
bool cluster_start(const unit_t *unit);
bool cluster_stop(const unit_t *unit);

/* Creates the database unless it is there. */
file_result_t cluster_database(const unit_t *unit);

#endif
