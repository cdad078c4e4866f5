/*
 * punitctl mesh wait: waits until all peers have what is written here.
 */
#include "punitctl/mesh/mesh.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"


int
verb_mesh_wait(const arguments_t *arguments)
{
    double      limit = wait_within(arguments);
    const char *lsn;
    unit_t      unit;
    PGconn     *db;
    bool        ok;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    db = database_open_own(&unit, arguments);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    ok = mesh_arrive(db, limit, &lsn);
    PQfinish(db);
    if (!ok) {
        return output_problem("timed-out",
                              "not all peers have what is written here after %g s;"
                              " see `punitctl mesh status`",
                              limit);
    }
    output_fact("lsn", json_string(lsn));
    output_line("all peers have what was written here up to %s", lsn);
    return EXIT_OK;
}
