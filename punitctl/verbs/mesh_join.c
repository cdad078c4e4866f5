/*
 * punitctl mesh join, mesh resync: subscriptions of this unit to its peers.
 */
#include <stdio.h>
#include <string.h>

#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/mesh.h"
#include "punitctl/text.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

struct peer {
    const char *id, *pg;
    const char *subscription; /* here */
    const char *slot;         /* at the peer */
    const char *publications; /* of the peer, for this unit */
};


/* Slots' names allow no hyphen, units' ids no underscore. */
static struct peer
peer_of(const struct unit *unit, const char *id, const char *pg)
{
    return (struct peer){
        .id = id,
        .pg = pg,
        .subscription = text("punit_from_%s", id),
        .slot = text("punit_to_%s", text_replace(unit->id, '-', '_')),
        .publications = text("punit_reference, \"punit_messages_%s\"", unit->id),
    };
}


bool
mesh_subscribed(PGconn *db, const char *subscription)
{
    return database_value(db, "select 1 from pg_subscription where subname = $1", 1, &subscription)
           != NULL;
}


/* The slot is made before the subscription and not by it: `create subscription`
 * would hold a transaction open here while it waits for those open at the peer,
 * and two units that join at once would wait for each other for ever. One left
 * by a subscription that is gone here keeps its WAL and the name. */
static bool
make_slot(PGconn *db, const struct peer *peer)
{
    const char *reason, *incarnation, *dropped = NULL, *made = NULL;
    PGconn     *there = database_open_peer(peer->pg, &reason);

    if (there == NULL) {
        complain("peer %s: %s; does it run, and has it been told of this unit"
                 " (punitctl unit add there)?",
                 peer->id, reason);
        return false;
    }
    incarnation = database_value(there, "select incarnation from punit.me", 0, NULL);
    if (incarnation == NULL
        || database_value(db,
                          "select 1 from punit.unit where id = $1"
                          " and incarnation = $2 and retired_at is not null",
                          2, (const char *const[]){ peer->id, incarnation })
               != NULL)
    {
        /* what it wrote has another author now */
        PQfinish(there);
        complain("peer %s is the unit that was removed; it comes again only as"
                 " a new one (remove its directory, `punitctl unit init`)",
                 peer->id);
        return false;
    }
    dropped = database_value(there,
                             "select count(pg_drop_replication_slot(slot_name))"
                             " from pg_replication_slots where slot_name = $1 and not active",
                             1, (const char *const[]){ peer->slot });
    if (dropped != NULL) {
        made = database_value(there,
                              "select slot_name from"
                              " pg_create_logical_replication_slot($1, 'pgoutput')",
                              1, (const char *const[]){ peer->slot });
    }
    PQfinish(there);
    if (dropped != NULL && strcmp(dropped, "0") != 0) {
        say("peer %s: dropped an old slot there", peer->id);
    }
    return made != NULL;
}


static bool
subscribe(PGconn *db, const struct peer *peer)
{
    const char *rows;

    if (!make_slot(db, peer)) {
        return false;
    }
    /* copying over rows that are here would fail on their keys, for ever */
    rows =
        database_value(db, "select punit.forget_origin($1)", 1, (const char *const[]){ peer->id });
    if (rows == NULL
        || !database_run(db,
                         text("create subscription %s connection %s publication %s"
                              " with (copy_data = true, create_slot = false, slot_name = %s)",
                              database_name(db, peer->subscription), database_literal(db, peer->pg),
                              peer->publications, database_literal(db, peer->slot)),
                         0, NULL))
    {
        return false;
    }
    if (strcmp(rows, "0") != 0) {
        say("peer %s: %s of its rows were here and are copied again", peer->id, rows);
    }
    say("peer %s: subscribed, copying", peer->id);
    return true;
}


/* Where the peer is and what it publishes may have changed since. */
static bool
refresh(PGconn *db, const struct peer *peer)
{
    const char *name = database_name(db, peer->subscription);

    if (!database_run(db,
                      text("alter subscription %s connection %s", name,
                           database_literal(db, peer->pg)),
                      0, NULL)
        || !database_run(db, text("alter subscription %s enable", name), 0, NULL)
        || !database_run(db,
                         text("alter subscription %s set publication %s", name, peer->publications),
                         0, NULL))
    {
        complain("peer %s: cannot refresh its subscription", peer->id);
        return false;
    }
    say("peer %s was subscribed to; refreshed", peer->id);
    return true;
}


/* True once every table of the subscriptions has been copied. */
static bool
copied(void *context)
{
    PGconn     *db = context;
    const char *left =
        database_value(db,
                       "select count(*) from pg_subscription_rel r"
                       " join pg_subscription s on s.oid = r.srsubid"
                       " where s.subname like 'punit\\_from\\_%' and r.srsubstate <> 'r'",
                       0, NULL);

    if (left != NULL) {
        say_progress("%s tables of the peers are still to be copied", left);
    }
    return left != NULL && strcmp(left, "0") == 0;
}


static int
wait_copied(const struct unit *unit, PGconn *db, const struct arguments *arguments)
{
    double limit = wait_seconds(argument(arguments, "within"));
    int    keys;

    if (limit < 0) {
        complain("--within: expected seconds");
        return EXIT_USAGE;
    }
    if (!wait_until(copied, db, limit)) {
        return complain("not all copied within %g s; `punitctl mesh status`"
                        " shows what is missing",
                        limit);
    }
    say("all tables of the peers are copied");
    return keys_sync(unit, &keys) ? EXIT_OK : EXIT_FAILED;
}


int
verb_mesh_join(const struct arguments *arguments)
{
    struct unit unit;
    PGresult   *peers;
    PGconn     *db;
    int         failed = 0;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    peers = database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    for (int i = 0; peers != NULL && i < PQntuples(peers); i++) {
        struct peer peer =
            peer_of(&unit, database_field(peers, i, "id"), database_field(peers, i, "pg"));

        failed +=
            !(mesh_subscribed(db, peer.subscription) ? refresh(db, &peer) : subscribe(db, &peer));
    }
    if (peers == NULL) {
        failed++;
    } else if (PQntuples(peers) == 0) {
        failed += complain("no peers; begin with `punitctl unit add FILE`");
    }
    PQclear(peers);
    if (failed == 0) {
        failed += !arbiters_settle(db, true);
    }
    int status = failed > 0 ? EXIT_FAILED : wait_copied(&unit, db, arguments);

    PQfinish(db);
    return status;
}


bool
mesh_unsubscribe(PGconn *db, const char *subscription)
{
    const char *name = database_name(db, subscription);

    return database_run(db, text("alter subscription %s disable", name), 0, NULL)
           && database_run(db,
                           text("alter subscription %s set (slot_name ="
                                " none)",
                                name),
                           0, NULL)
           && database_run(db, text("drop subscription %s", name), 0, NULL);
}


/* The peer's walsender notices a little later that its reader left. */
static bool
slot_free(void *context)
{
    const struct peer *peer = context;
    const char        *reason;
    PGconn            *there = database_open_peer(peer->pg, &reason);
    const char        *active;

    if (there == NULL) {
        return false;
    }
    active = database_value(there,
                            "select count(*) from pg_replication_slots"
                            " where slot_name = $1 and active",
                            1, (const char *const[]){ peer->slot });
    PQfinish(there);
    return active != NULL && strcmp(active, "0") == 0;
}


int
verb_mesh_resync(const struct arguments *arguments)
{
    const char *id = arguments->operand[0];
    const char *pg, *reason;
    struct unit unit;
    struct peer peer;
    bool        json = argument(arguments, "json") != NULL;
    PGconn     *db, *there;
    int         status = EXIT_FAILED;

    if (json) {
        say_nothing();
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db == NULL) {
        return EXIT_FAILED;
    }
    pg = database_value(db, "select pg from punit.peer where id = $1", 1,
                        (const char *const[]){ id });
    if (pg == NULL) {
        complain("no peer %s here", id);
        PQfinish(db);
        return EXIT_FAILED;
    }
    peer = peer_of(&unit, id, pg);
    /* before anything is deleted: is there somebody to copy from? */
    there = database_open_peer(pg, &reason);
    if (there == NULL) {
        complain("peer %s: %s; nothing was changed", id, reason);
    } else if ((!mesh_subscribed(db, peer.subscription) || mesh_unsubscribe(db, peer.subscription))
               && (wait_until(slot_free, &peer, 20)
                   || complain("peer %s: slot %s stays in use", id, peer.slot) == EXIT_OK)
               && subscribe(db, &peer))
    {
        status = wait_copied(&unit, db, arguments);
    }
    PQfinish(there);
    PQfinish(db);
    if (json) {
        printf("{ \"unit\": \"%s\", \"peer\": \"%s\", \"copied\": %s }\n", unit.id, id,
               status == EXIT_OK ? "true" : "false");
    }
    return status;
}
