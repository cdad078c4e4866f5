/*
 * punitctl unit add: makes the other units known to this one.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/pg/conninfo.h"
#include "punitctl/mesh/arbiters.h"
#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/recall.h"
#include "punitctl/unit/units_file.h"
#include "punitctl/unit/written.h"
#include "punitctl/verb.h"


/* How this unit reaches a peer's PostgreSQL. The peer's certificate must show its id, whatever its
 * address is: libpq compares it with `host`. So `hostaddr` has the numbers of a name. NULL when the
 * address is no part of a conninfo. */
static const char *
peer_conninfo(const unit_t *unit, const unit_address_t *peer)
{
    const punit_identity_t self = {
        .unit = unit->id,
        .cert = unit_setting(unit, "PUNIT_TLS_CERT"),
        .key = unit_setting(unit, "PUNIT_TLS_KEY"),
        .ca = unit_setting(unit, "PUNIT_TLS_CA"),
    };
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
                                   &self, NULL, NULL);
    copy = conninfo != NULL ? pool_printf("%s", conninfo) : NULL;
    free(conninfo);
    return copy;
}


static bool
add_peers(const unit_t *unit, PGconn *db, const unit_address_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *fresh;

        if (strcmp(units[i].id, unit->id) == 0) {
            continue;
        }
        fresh = database_value(db, "select punit.add_peer($1, $2, $3)", 3,
                               (const char *const[]){ units[i].id, peer_conninfo(unit, &units[i]),
                                                      units[i].listener });
        if (fresh == NULL) {
            return false;
        }
        if (fresh[0] == 't') {
            output_line("peer %s: listener %s, PostgreSQL %s", units[i].id, units[i].listener,
                        units[i].pg);
        } else {
            output_line("peer %s was known", units[i].id);
        }
    }
    return true;
}


static bool
listed(const unit_t *unit, const unit_address_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].id, unit->id) == 0) {
            return true;
        }
    }
    return false;
}


int
verb_unit_add(const arguments_t *arguments)
{
    const char     *path = arguments->operand[0];
    size_t          count;
    unit_address_t *units = units_file_read(path, &count);
    unit_t          unit;
    file_result_t   peers;
    PGconn         *db;
    bool            ok;

    if (units == NULL || !unit_open(&unit, arguments) || !recall_release(&unit)) {
        return EXIT_FAILED;
    }
    written_force(arguments_value(arguments, "force") != NULL);
    if (!listed(&unit, units, count)) {
        return output_problem("bad-file",
                              "%s does not list this unit; give every unit the same"
                              " file, itself included",
                              path);
    }
    db = database_open(&unit, "postgres", NULL);
    ok = db != NULL && add_peers(&unit, db, units, count) && arbiters_settle(db, false);
    PQfinish(db);
    if (!ok) {
        return EXIT_FAILED;
    }
    peers = nginx_write_peers(&unit, units, count);
    if (peers == FILE_FAILED || (peers == FILE_WRITTEN && !nginx_reload(&unit))) {
        return EXIT_FAILED;
    }
    output_fact("peers", json_integer((json_int_t) count - 1));
    output_line("now `punitctl mesh join` here, after `punitctl unit add` at the others");
    return written_end(&unit);
}
