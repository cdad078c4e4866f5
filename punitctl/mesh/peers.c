#include "punitctl/mesh/peers.h"

#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
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


bool
peers_each(PGconn *db, bool (*look)(void *context, const peer_t *peer), void *context)
{
    PGresult *rows = database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    bool      found = false;

    for (int i = 0; rows != NULL && !found && i < PQntuples(rows); i++) {
        peer_t peer = { .id = database_field(rows, i, "id") };

        peer.db = database_open_peer(database_field(rows, i, "pg"), &peer.problem);
        if (peer.db != NULL) {
            found = look(context, &peer);
            PQfinish(peer.db);
        }
    }
    PQclear(rows);
    return found;
}


/* host:port of a conninfo, with the first address of a list. NULL: it has none. */
static const char *
conninfo_address(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const char       *host = NULL, *port = NULL, *address = NULL;

    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val != NULL && strcmp(o->keyword, "port") == 0) {
            port = o->val;
        } else if (o->val != NULL
                   && (strcmp(o->keyword, "hostaddr") == 0
                       || (strcmp(o->keyword, "host") == 0 && host == NULL)))
        {
            host = o->val;
        }
    }
    if (host != NULL && port != NULL) {
        host = pool_copy(host, strcspn(host, ","));
        address = pool_printf(strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
    }
    PQconninfoFree(options);
    return address;
}


unit_address_t *
peers_addresses(const unit_t *unit, PGconn *db, const char *without, size_t *count)
{
    PGresult *rows = database_query(
        db, NULL,
        "select p.id, p.pg, p.listener, substr(u.http, 8) as http from punit.peer p"
        " left join punit.unit u on u.id = p.id and u.origin_unit = p.id and u.http like 'http://%'"
        " where p.id <> $1 order by p.id",
        1, &without);
    unit_address_t *units;

    if (rows == NULL) {
        return NULL;
    }
    units = pool_alloc(((size_t) PQntuples(rows) + 1) * sizeof(*units));
    units[0] = (unit_address_t){ unit->id, unit_setting(unit, "PUNIT_HTTP"),
                                 unit_setting(unit, "PUNIT_LISTENER"),
                                 unit_setting(unit, "PUNIT_PG_LISTEN") };
    *count = 1;
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *pg = conninfo_address(database_field(rows, i, "pg"));
        const char *http = database_field(rows, i, "http");

        if (pg == NULL) {
            output_problem("no-peer", "punit.peer has no address of %s; add the unit again",
                           database_field(rows, i, "id"));
            PQclear(rows);
            return NULL;
        }
        units[(*count)++] =
            (unit_address_t){ database_field(rows, i, "id"),
                              http != NULL && address_problem(http) == NULL ? http : NULL,
                              database_field(rows, i, "listener"), pg };
    }
    PQclear(rows);
    return units;
}
