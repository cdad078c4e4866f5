#include "punitctl/mesh/join.h"

#include <string.h>

#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/subscription.h"
#include "punitctl/unit/database.h"


/* False: the peer does not answer, and need not yet. */
static bool
answers(const char *id, const char *pg)
{
    const char *reason;
    PGconn     *there = database_open_peer(pg, &reason);

    if (there == NULL) {
        output_line("peer %s does not let this unit in yet (%s). If it serves: `punitctl unit add`"
                    " there, then `punitctl mesh join` here. If it is yet to be set up: then"
                    " `punitctl mesh join` here",
                    id, reason);
        return false;
    }
    PQfinish(there);
    return true;
}


/* Returns the number of peers that failed. */
static int
subscribe(const unit_t *unit, PGconn *db, const char *needed)
{
    PGresult *peers =
        database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    int failed = 0;

    if (peers == NULL) {
        return 1;
    }
    output_fact("peers", json_integer(PQntuples(peers)));
    for (int i = 0; i < PQntuples(peers); i++) {
        const char    *id = database_field(peers, i, "id");
        const char    *pg = database_field(peers, i, "pg");
        subscription_t s = subscription_to(unit, id, pg);

        if (needed != NULL && strcmp(id, needed) != 0 && !answers(id, pg)) {
            continue;
        }
        failed += !(subscription_exists(db, s.name) ? subscription_refresh(unit, db, &s)
                                                    : subscription_create(unit, db, &s));
    }
    PQclear(peers);
    return failed;
}


int
join_mesh(const unit_t *unit, PGconn *db, double seconds, const char *needed)
{
    int failed, status;

    if (database_value(db, "select 1 from punit.peer limit 1", 0, NULL) == NULL) {
        return output_problem("no-peer", "there are no peers; begin with `punitctl unit invite` or"
                                         " `punitctl unit add`");
    }
    if (arbiters_apart(db)) {
        return EXIT_FAILED;
    }
    /* The arbiters first: with them this unit judges which names a peer may write. */
    failed = !arbiters_settle(db, true);
    failed += subscribe(unit, db, needed);
    status = subscription_wait_copied(unit, db, seconds);
    return failed > 0 ? EXIT_FAILED : status;
}
