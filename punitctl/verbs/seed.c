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

    db = database_open_own(&unit, arguments);
    ok = db != NULL && seed_write(db);
    PQfinish(db);
    return ok ? EXIT_OK : EXIT_FAILED;
}
