/*
 * The functions, views and triggers that files of sql/functions/ made: which file made which, what
 * left its file, and what must be dropped. All of it inside the transaction of schema_apply.
 */
#ifndef PUNITCTL_UNIT_SCHEMA_OBJECT_H
#define PUNITCTL_UNIT_SCHEMA_OBJECT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/unit/schema_tree.h"

/* Makes the temporary tables; objects of files that are not in `files` are to be dropped. */
bool schema_object_begin(PGconn *db, const schema_files_t *files);

/* Whether something that the file made is not there any more. */
bool schema_object_missing(PGconn *db, const char *file);

/* The file is to run again: its objects lose rights and comments, as if they were new. */
bool schema_object_reset(PGconn *db, const char *file);

/* Remembers what is there now: schema_object_made compares with it. */
bool schema_object_watch(PGconn *db);

/* Notes what was made or replaced since schema_object_watch, or since the last call, as the file's.
 */
bool schema_object_made(PGconn *db, const char *file);

/* Drops what the file made. What something else depends on stays, and *kept says why. */
bool schema_object_drop_of(PGconn *db, const char *file, const char **kept);

/* Drops what left its file. `last`: what something depends on is an error, which is said. */
bool schema_object_drop_left(PGconn *db, bool last);

/* Rows (file, statement): the statements check the bodies of the functions that were made. */
PGresult *schema_object_validators(PGconn *db);

/* Writes punit.schema_object. False (said) if two files made one object. */
bool schema_object_record(PGconn *db);

/* What was dropped and not made again. */
bool schema_object_dropped(PGconn *db, const char ***names, size_t *count);

#endif
