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
enum file_result cluster_make(const struct unit *unit);

/* punit.conf, pg_hba.conf, pg_ident.conf; `listen` is ADDRESS:PORT.
 * FILE_WRITTEN if any changed: then a running server must reload. */
enum file_result cluster_configure(const struct unit *unit, const char *listen);

/* True if a server of this cluster runs. */
bool cluster_runs(const struct unit *unit);

/* Waits until a server that was just started lets clients in; false, said,
 * after `seconds`. */
bool cluster_wait(const struct unit *unit, double seconds);

/* Starts it, reachable through the unix socket alone, and waits; stops it. */
bool cluster_start(const struct unit *unit);
bool cluster_stop(const struct unit *unit);

/* Creates the database unless it is there. */
enum file_result cluster_database(const struct unit *unit);

#endif
