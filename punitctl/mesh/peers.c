#include "punitctl/mesh/peers.h"

#include <string.h>

#include "punitctl/unit/database.h"


bool
peers_open(peers_t *peers, const unit_t *unit)
{
    PGconn   *db = database_open(unit, "punit_mover", NULL);
    PGresult *rows = NULL;

    memset(peers, 0, sizeof(*peers));
    if (db != NULL) {
        rows = database_query(db, NULL,
                              "select u.id, u.pg, punit.incarnation_of(u.id)"
                              " as incarnation, m.incarnation as own"
                              " from punit.me m cross join lateral"
                              " (select m.id, null as pg union all"
                              " select p.id, p.pg from punit.peer p) u"
                              " order by u.pg is not null, u.id",
                              0, NULL);
    }
    if (rows == NULL) {
        PQfinish(db);
        return false;
    }
    for (int i = 0; i < PQntuples(rows) && i < PEERS_MOST; i++) {
        peer_t     *peer = &peers->unit[peers->count++];
        const char *pg = database_field(rows, i, "pg");

        peer->id = database_field(rows, i, "id");
        peer->incarnation = database_field(rows, i, "incarnation");
        peer->db = pg == NULL ? db : database_open_peer(pg, &peer->problem);
    }
    peers->incarnation = database_field(rows, 0, "own");
    PQclear(rows);
    return true;
}


void
peers_close(peers_t *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        PQfinish(peers->unit[i].db);
    }
    peers->count = 0;
}


peer_t *
peers_find(peers_t *peers, const char *id)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (strcmp(peers->unit[i].id, id) == 0) {
            return &peers->unit[i];
        }
    }
    return NULL;
}
