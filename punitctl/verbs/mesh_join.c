/*
 * punitctl mesh join: subscribes to all peers and waits for their rows.
 */
#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/subscription.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"


/* Returns the number of peers that failed. */
static int
subscribe(const unit_t *unit, PGconn *db)
{
    PGresult *peers =
        database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    int failed = 0;

    if (peers == NULL) {
        return 1;
    }
    if (PQntuples(peers) == 0) {
        failed +=
            output_problem("no-peer", "there are no peers; begin with `punitctl unit add FILE`");
    }
    output_fact("peers", json_integer(PQntuples(peers)));
    for (int i = 0; i < PQntuples(peers); i++) {
        subscription_t s =
            subscription_to(unit, database_field(peers, i, "id"), database_field(peers, i, "pg"));
        bool ok = subscription_exists(db, s.name) ? subscription_refresh(db, &s)
                                                  : subscription_create(db, &s);

        failed += !ok;
    }
    PQclear(peers);
    return failed;
}


int
verb_mesh_join(const arguments_t *arguments)
{
    double  limit = wait_seconds(arguments_value(arguments, "within"));
    int     status = EXIT_FAILED;
    unit_t  unit;
    PGconn *db;

    if (limit < 0) {
        output_error("--within: expected seconds");
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    if (subscribe(&unit, db) == 0 && arbiters_settle(db, true)) {
        status = subscription_wait_copied(&unit, db, limit);
    }
    PQfinish(db);
    return status;
}
