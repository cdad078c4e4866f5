/*
 * punitctl import, seed: reference data that a unit brings in as its author.
 */
#include <string.h>

#include "punitctl/text.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"
#include "punitctl/verb.h"


static const char *
one_line(const char *s)
{
    char *copy = text_replace(s, '\n', ' ');

    return copy;
}


int
verb_import(const struct arguments *arguments)
{
    const char *path = arguments->operand[1];
    const char *content;
    struct unit unit;
    PGresult   *row;
    PGconn     *db;

    if (strcmp(arguments->operand[0], "exercises") != 0) {
        complain("import knows exercises, not \"%s\"", arguments->operand[0]);
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
        say("%s: %s inserted, %s updated, %s unchanged, %s of another unit", path,
            PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2),
            PQgetvalue(row, 0, 3));
        PQclear(row);
        PQfinish(db);
        return EXIT_OK;
    }

    const char *detail = PQresultErrorField(row, PG_DIAG_MESSAGE_DETAIL);
    const char *primary = PQresultErrorField(row, PG_DIAG_MESSAGE_PRIMARY);

    complain("%s: %s%s%s; nothing was imported", path,
             primary != NULL ? primary : PQerrorMessage(db), detail != NULL ? ": " : "",
             detail != NULL ? one_line(detail) : "");
    PQclear(row);
    PQfinish(db);
    return EXIT_FAILED;
}


int
verb_seed(const struct arguments *arguments)
{
    static const struct {
        const char *statement, *what;
    } seeds[] = {
        { "select sports.seed()", "sports" },
        { "select metrics.seed()", "metric types" },
    };
    struct unit unit;
    PGconn     *db;
    int         status = EXIT_OK;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        const char *n = database_value(db, seeds[i].statement, 0, NULL);

        if (n == NULL) {
            status = EXIT_FAILED;
        } else {
            say("%s: %s new", seeds[i].what, n);
        }
    }
    PQfinish(db);
    return status;
}
