/*
 * SQL files: run statement by statement, so that an error names file and line.
 */
#ifndef PUNITCTL_UNIT_SQL_SCRIPT_H
#define PUNITCTL_UNIT_SQL_SCRIPT_H

#include <libpq-fe.h>

typedef enum {
    SQL_SCRIPT_DONE,
    SQL_SCRIPT_LATER,   /* something it names is missing, perhaps not made yet */
    SQL_SCRIPT_REPLACE, /* an object of the same name must be dropped first */
    SQL_SCRIPT_FAILED,
} sql_script_result_t;

/* Runs the statements of `script` inside the open transaction. After a failure *error says why,
 * with `name` and the line. */
sql_script_result_t sql_script_run(PGconn *db, const char *name, const char *script,
                                   const char **error);

/* The error of a result as text: `name`, the line of `script`, the message and its detail. The
 * line is there if the server names a place: in a statement that begins at `line`, or in the body
 * of a function. */
const char *sql_script_error(const PGresult *result, const char *name, const char *script,
                             const char *statement, long line);

#endif
