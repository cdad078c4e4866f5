/*
 * punitctl seed: the first sports and metric types, with this unit as their author.
 */
#include <stdlib.h>

#include "punitctl/unit/database.h"
#include "punitctl/verb.h"


int
verb_seed(const arguments_t *arguments)
{
    static const struct {
        const char *statement, *what, *fact;
    } seeds[] = {
        { "select sports.seed()", "sports", "sports" },
        { "select metrics.seed()", "metric types", "metric_types" },
    };
    unit_t  unit;
    PGconn *db;
    int     status = EXIT_OK;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        const char *n = database_value(db, seeds[i].statement, 0, NULL);

        if (n == NULL) {
            status = EXIT_FAILED;
        } else {
            output_fact(seeds[i].fact, json_integer(strtoll(n, NULL, 10)));
            output_line("%s: %s new", seeds[i].what, n);
        }
    }
    PQfinish(db);
    return status;
}
