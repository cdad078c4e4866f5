/*
 * punitctl seed: the first sports and metric types, with this unit as their author.
 */
#include "punitctl/unit/seed.h"

#include "punitctl/unit/database.h"
#include "punitctl/verb.h"


int
verb_seed(const arguments_t *arguments)
{
    unit_t  unit;
    PGconn *db;
    bool    ok;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    ok = db != NULL && seed_write(db);
    PQfinish(db);
    return ok ? EXIT_OK : EXIT_FAILED;
}
