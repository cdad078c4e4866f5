/*
 * The files of the schema: sql/VERSION, sql/tables/NNN-topic.sql,
 * sql/functions/<schema>/<noun>.sql.
 */
#ifndef PUNITCTL_UNIT_SCHEMA_TREE_H
#define PUNITCTL_UNIT_SCHEMA_TREE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *name; /* below sql/ */
    const char *script;
    const char *sha256;
} schema_file_t;

typedef struct {
    schema_file_t *file;
    size_t         count;
} schema_files_t;

typedef struct {
    int            version, serves;
    schema_files_t tables;    /* applied once, in this order */
    schema_files_t functions; /* applied again when they change */
} schema_tree_t;

/* Reads the files below `directory`; false with the reason said. */
bool schema_tree_read(schema_tree_t *tree, const char *directory);

#endif
