/* Schema: whether this program can serve on the schema of the database that it has connected to.
 *
 * sql/VERSION names the version that the program was built with. A schema fits if its version is
 * not lower, and if it still serves programs of that version. */
#ifndef PUNIT_LIB_PG_SCHEMA_H
#define PUNIT_LIB_PG_SCHEMA_H

#include "lib/pg/connection.h"

/* Reads the version through a connection just opened, until the deadline (punit_clock_ms). False:
 * why says what to do, in a line. A schema that does not fit is logged, once a minute at most. */
bool punit_schema_fits(PGconn *pg, int64_t deadline, char *why, size_t size);

/* The connection, which may be NULL; it is closed, and NULL is given, if the schema does not fit.
 */
punit_connection_t *punit_schema_checked(punit_connection_t *c, int64_t deadline, char *why,
                                         size_t size);

#endif
