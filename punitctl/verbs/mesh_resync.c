/*
 * punitctl mesh resync: deletes here what a peer authored and copies it again.
 */
#include "punitctl/mesh/subscription.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

#define SLOT_SECONDS 20


static int
resync(const unit_t *unit, PGconn *db, const char *id, double limit)
{
    const char    *pg = database_value(db, "select pg from punit.peer where id = $1", 1, &id);
    const char    *reason;
    subscription_t s;
    PGconn        *there;
    int            status = EXIT_FAILED;

    if (pg == NULL) {
        return output_problem("no-peer", "no peer %s here", id);
    }
    s = subscription_to(unit, id, pg);
    /* The peer must answer before anything is deleted: the rows are copied from there. */
    there = database_open_peer(pg, &reason);
    if (there == NULL) {
        return output_problem("peer-unreachable", "peer %s: %s (nothing was changed)", id, reason);
    }
    if (subscription_allowed(db, &s)
        && (!subscription_exists(db, s.name) || subscription_drop(db, s.name)))
    {
        if (!subscription_wait_slot(&s, SLOT_SECONDS)) {
            output_problem("timed-out", "peer %s: slot %s stays in use", id, s.slot);
        } else if (subscription_create(unit, db, &s)) {
            status = subscription_wait_copied(unit, db, limit);
        }
    }
    PQfinish(there);
    return status;
}


int
verb_mesh_resync(const arguments_t *arguments)
{
    double      limit = wait_within(arguments);
    const char *id = arguments->operand[0];
    unit_t      unit;
    PGconn     *db;
    int         status = EXIT_FAILED;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    db = database_open_own(&unit, arguments);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    status = resync(&unit, db, id, limit);
    PQfinish(db);
    output_json(
        json_pack("{s:s, s:s, s:b}", "unit", unit.id, "peer", id, "copied", status == EXIT_OK));
    return status;
}
