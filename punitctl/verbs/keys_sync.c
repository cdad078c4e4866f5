/*
 * punitctl keys sync: takes over new keys of other units and removes those that are over.
 */
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/verb.h"


int
verb_keys_sync(const arguments_t *arguments)
{
    bool        over = arguments_value(arguments, "over") != NULL;
    const char *until;
    unit_t      unit;
    int         changed = 0;
    PGconn     *db;
    bool        ok;

    if (!unit_open(&unit, arguments) || (!over && !keys_sync(&unit, &changed))) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    ok = db != NULL && keys_drop(&unit, db, &until);
    PQfinish(db);
    if (!ok) {
        return EXIT_FAILED;
    }
    output_fact("new", json_integer(changed));
    if (changed == 0 && !over) {
        output_line("all keys of the units were here");
    }
    return EXIT_OK;
}
