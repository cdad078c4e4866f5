#include "punitctl/mesh/arbiters.h"

#include <string.h>

#include "punitctl/mesh/peers.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"


/* The buckets of a peer, and the former arbiters (*authors). "": none yet. NULL with *reason: the
 * peer does not answer. */
static const char *
ask(const char *pg, const char **authors, const char **reason)
{
    PGconn     *there = database_open_peer(pg, reason);
    const char *buckets = NULL;
    PGresult   *row;

    if (there == NULL) {
        return NULL;
    }
    row = database_query(there, reason,
                         "select coalesce(auth.buckets()::text, '') as buckets,"
                         " auth.name_authors()::text as authors",
                         0, NULL);
    if (row != NULL) {
        buckets = database_field(row, 0, "buckets");
        *authors = database_field(row, 0, "authors");
        PQclear(row);
    }
    PQfinish(there);
    return buckets;
}


static bool
take(PGconn *db, const char *peer, const char *buckets, const char *authors)
{
    if (!database_run(db, "select auth.set_name_authors($1::text[])", 1, &authors)
        || database_value(db, "select auth.set_buckets($1::text[])", 1, &buckets) == NULL)
    {
        return false;
    }
    output_line("login names: arbiters as at %s", peer);
    return true;
}


static bool
deal(PGconn *db)
{
    if (database_value(db,
                       "select auth.assign_buckets(array(select id from"
                       " punit.peer union select punit.self()))",
                       0, NULL)
        == NULL)
    {
        return false;
    }
    output_line("login names: arbiters dealt to all units");
    return true;
}


bool
arbiters_settle(PGconn *db, bool joining)
{
    const char *reason = "", *away = NULL;
    PGresult   *peers;

    if (database_value(db, "select to_regprocedure('auth.buckets()')", 0, NULL) == NULL
        || database_value(db, "select auth.buckets()", 0, NULL) != NULL)
    {
        return true;
    }
    peers = database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    if (peers == NULL) {
        return false;
    }
    for (int i = 0; i < PQntuples(peers); i++) {
        const char *id = pool_printf("%s", database_field(peers, i, "id"));
        const char *authors = NULL;
        const char *buckets = ask(database_field(peers, i, "pg"), &authors, &reason);

        if (buckets != NULL && *buckets != '\0') {
            PQclear(peers);
            return take(db, id, buckets, authors);
        }
        if (buckets == NULL) {
            away = pool_printf("peer %s: %s", id, reason);
        }
    }
    PQclear(peers);
    if (away == NULL) {
        return deal(db);
    }
    if (joining) {
        output_problem("peer-unreachable",
                       "%s (it may know the arbiters of login names, and this unit registers no"
                       " user before it knows them too)",
                       away);
        return false;
    }
    output_line("login names: arbiters come with `punitctl mesh join`");
    return true;
}


#define ALONE "select auth.buckets() = array_fill(punit.self(), array[256]) as alone"


/* Whether the other unit was made with --new too. */
static bool
alone_too(void *context, const peer_t *peer)
{
    const char *alone = database_value(peer->db, ALONE, 0, NULL);

    (void) context;
    if (alone == NULL || *alone != 't') {
        return false;
    }
    output_problem("refused",
                   "this unit and %s were both made with --new, so they are two systems, and a"
                   " login name would have two arbiters; make one of them again, by an"
                   " invite of the other",
                   peer->id);
    return true;
}


bool
arbiters_apart(PGconn *db)
{
    const char *alone = database_value(db, ALONE, 0, NULL);

    return alone != NULL && *alone == 't' && peers_each(db, alone_too, NULL);
}


bool
arbiters_found(PGconn *db, bool *fresh)
{
    *fresh = database_value(db, "select auth.buckets()", 0, NULL) == NULL;
    if (!*fresh) {
        return true;
    }
    if (database_value(db, "select 1 from punit.peer limit 1", 0, NULL) != NULL) {
        output_problem("refused",
                       "--new is for the first unit of a system, and this one has peers; run"
                       " `punitctl mesh join`");
        return false;
    }
    if (database_value(db, "select auth.assign_buckets(array[punit.self()])", 0, NULL) == NULL) {
        return false;
    }
    output_line("login names: this unit decides about all of them");
    return true;
}
