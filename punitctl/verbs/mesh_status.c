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
    json_t *peers, *refusals;
    PGconn *db;
    bool    ok;

    db = database_open_own(&unit, arguments);
    peers = db != NULL ? mesh_state(db) : NULL;
    refusals = peers != NULL ? mesh_refusals(db) : NULL;
    PQfinish(db);
    if (refusals == NULL) {
        return EXIT_FAILED;
    }
    ok = mesh_good(peers);
    mesh_print(peers);
    mesh_print_refusals(refusals);
    output_json(json_pack("{s:s, s:b, s:o, s:o}", "unit", unit.id, "good", ok, "mesh", peers,
                          "refusals", refusals));
    return ok ? EXIT_OK : EXIT_FAILED;
}
