/*
 * punitctl mesh join: subscribes to all peers and waits for their rows.
 */
#include "punitctl/mesh/introduction.h"
#include "punitctl/mesh/join.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"


int
verb_mesh_join(const arguments_t *arguments)
{
    double  limit = wait_within(arguments);
    int     status;
    unit_t  unit;
    PGconn *db;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    db = database_open_own(&unit, arguments);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    status = join_mesh(&unit, db, limit, NULL);
    if (status == EXIT_OK) {
        introduction_mention(db);
    }
    PQfinish(db);
    return status;
}
