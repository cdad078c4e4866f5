#include "punitctl/mesh/peer_add.h"

#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/nginx.h"


punit_identity_t
peer_add_identity(const unit_t *unit)
{
    return (punit_identity_t){
        .unit = unit->id,
        .cert = unit_setting(unit, "PUNIT_TLS_CERT"),
        .key = unit_setting(unit, "PUNIT_TLS_KEY"),
        .ca = unit_setting(unit, "PUNIT_TLS_CA"),
    };
}


const char *
peer_add_conninfo(const punit_identity_t *self, const unit_address_t *peer)
{
    const char *numbers = address_numbers(peer->pg);
    const char *hosts = peer->id;
    char       *conninfo, *copy;

    if (numbers == NULL) {
        return NULL;
    }
    for (const char *comma = strchr(numbers, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
        hosts = pool_printf("%s,%s", hosts, peer->id);
    }
    conninfo = punit_conninfo_peer(pool_printf("host=%s hostaddr=%s port=%s", hosts, numbers,
                                               address_port(peer->pg)),
                                   self, NULL, NULL);
    copy = conninfo != NULL ? pool_printf("%s", conninfo) : NULL;
    free(conninfo);
    return copy;
}


bool
peer_add(const unit_t *unit, PGconn *db, const unit_address_t *peers, size_t count)
{
    const punit_identity_t self = peer_add_identity(unit);

    for (size_t i = 0; i < count; i++) {
        const char *fresh;

        if (strcmp(peers[i].id, unit->id) == 0) {
            continue;
        }
        fresh =
            database_value(db, "select punit.add_peer($1, $2, $3)", 3,
                           (const char *const[]){ peers[i].id, peer_add_conninfo(&self, &peers[i]),
                                                  peers[i].listener });
        if (fresh == NULL) {
            return false;
        }
        if (fresh[0] == 't') {
            output_line("peer %s: listener %s, PostgreSQL %s", peers[i].id, peers[i].listener,
                        peers[i].pg);
        } else {
            output_line("peer %s was known", peers[i].id);
        }
    }
    return true;
}


bool
peer_add_nginx(const unit_t *unit, PGconn *db, const char *without)
{
    PGresult       *rows = database_query(db, NULL,
                                          "select id, listener from punit.peer"
                                                " where id is distinct from $1 order by id",
                                          1, &without);
    unit_address_t *peers;
    file_result_t   result;

    if (rows == NULL) {
        return false;
    }
    peers = pool_alloc(((size_t) PQntuples(rows) + 1) * sizeof(*peers));
    for (int i = 0; i < PQntuples(rows); i++) {
        peers[i].id = database_field(rows, i, "id");
        peers[i].listener = database_field(rows, i, "listener");
    }
    result = nginx_write_peers(unit, peers, (size_t) PQntuples(rows));
    PQclear(rows);
    /* An unchanged file may be one that NGINX refused, or did not read, at an earlier call. */
    return result != FILE_FAILED && nginx_reload(unit);
}
