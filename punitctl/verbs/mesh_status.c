/*
 * punitctl mesh status: subscriptions, slots, lag and errors.
 */
#include "punitctl/mesh/mesh.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"


int
verb_mesh_status(const arguments_t *arguments)
{
    unit_t  unit;
    json_t *peers;
    PGconn *db;
    bool    ok;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    peers = db != NULL ? mesh_state(db) : NULL;
    PQfinish(db);
    if (peers == NULL) {
        return EXIT_FAILED;
    }
    ok = mesh_good(peers);
    if (arguments_value(arguments, "json") != NULL) {
        output_json(peers);
    } else {
        mesh_print(peers);
        json_decref(peers);
    }
    return ok ? EXIT_OK : EXIT_FAILED;
}
