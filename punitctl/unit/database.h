/*
 * The databases of this unit and its peers.
 */
#ifndef PUNITCTL_UNIT_DATABASE_H
#define PUNITCTL_UNIT_DATABASE_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Whether database_open may give a session as "postgres". The table of verbs says so for each. */
void database_superuser(bool may);

/* A session at this unit's database as `role` ("postgres", "punit_mover"...),
 * through the unix socket. NULL with the reason said; `database` NULL: the
 * unit's own. */
PGconn *database_open(const unit_t *unit, const char *role, const char *database);

/* Opens the unit that the arguments name, and a session at its database as postgres. NULL with the
 * reason printed. */
PGconn *database_open_own(unit_t *unit, const arguments_t *arguments);

/* A session at a peer, as this unit's role there, over TLS. `pg` is the
 * conninfo of punit.peer. NULL: *reason says why (nothing is printed). */
PGconn *database_open_peer(const char *pg, const char **reason);

/* Runs one statement with text parameters. NULL with the error said, unless
 * `error` is given: then it gets the message. */
PGresult *database_query(PGconn *db, const char **error, const char *statement, int count,
                         const char *const *values);

/* The same where rows do not matter. */
bool database_run(PGconn *db, const char *statement, int count, const char *const *values);

/* The first column of the first row; NULL if there is none, it is null, or the
 * statement failed (said). */
const char *database_value(PGconn *db, const char *statement, int count, const char *const *values);

/* A name or a literal, quoted. */
const char *database_name(PGconn *db, const char *name);
const char *database_literal(PGconn *db, const char *value);

/* A time in a query as programs read it: RFC 3339, UTC, whole seconds. */
#define DATABASE_TIME(column) \
    "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* A field as text, NULL if null. */
const char *database_field(const PGresult *result, int row, const char *column);

#endif
