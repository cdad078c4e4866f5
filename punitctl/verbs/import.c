/*
 * punitctl import: a catalogue of exercises, with this unit as its author.
 */
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"
#include "punitctl/verb.h"


static void
report(const PGresult *row)
{
    static const char *const names[] = { "inserted", "updated", "unchanged", "foreign" };

    for (int i = 0; i < 4; i++) {
        output_fact(names[i], json_integer(strtoll(PQgetvalue(row, 0, i), NULL, 10)));
    }
}


int
verb_import(const arguments_t *arguments)
{
    const char *path = arguments->operand[1];
    const char *content;
    unit_t      unit;
    PGresult   *row;
    PGconn     *db;

    if (strcmp(arguments->operand[0], "exercises") != 0) {
        output_error("import knows exercises, not \"%s\"", arguments->operand[0]);
        return EXIT_USAGE;
    }
    content = file_read(path, NULL);
    if (content == NULL || !unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    row = PQexecParams(db,
                       "select inserted, updated, unchanged, foreign_rows"
                       " from training.import_exercises($1::jsonb)",
                       1, NULL, &content, NULL, NULL, 0);
    if (PQresultStatus(row) == PGRES_TUPLES_OK) {
        report(row);
        output_line("%s: %s inserted, %s updated, %s unchanged, %s of another unit", path,
                    PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2),
                    PQgetvalue(row, 0, 3));
        PQclear(row);
        PQfinish(db);
        return EXIT_OK;
    }

    const char *detail = PQresultErrorField(row, PG_DIAG_MESSAGE_DETAIL);
    const char *primary = PQresultErrorField(row, PG_DIAG_MESSAGE_PRIMARY);

    output_problem("refused", "%s: %s%s%s (nothing was imported)", path,
                   primary != NULL ? primary : PQerrorMessage(db), detail != NULL ? ": " : "",
                   detail != NULL ? pool_replace(detail, '\n', ' ') : "");
    PQclear(row);
    PQfinish(db);
    return EXIT_FAILED;
}
