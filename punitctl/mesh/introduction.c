#include "punitctl/mesh/introduction.h"

#include "punitctl/mesh/peers.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/invite.h"


typedef struct {
    const char     *certificates, *id;
    unit_address_t *unit;
} search_t;


static bool
introduces(void *context, const peer_t *peer)
{
    search_t   *search = context;
    const char *ignored, *letter;
    PGresult   *row =
        database_query(peer->db, &ignored,
                       "select introduction from punit.invitation where id = $1", 1, &search->id);
    bool found = false;

    if (row != NULL && PQntuples(row) == 1) {
        letter = database_field(row, 0, "introduction");
        found = invite_introduced(letter, search->certificates, search->id, search->unit);
        if (!found) {
            output_problem("certificate",
                           "unit %s introduces %s, but the authority of the units has not signed"
                           " that (it does not count)",
                           peer->id, search->id);
        }
    }
    PQclear(row);
    return found;
}


bool
introduction_find(PGconn *db, const char *certificates, const char *id, unit_address_t *unit)
{
    search_t search = { certificates, id, unit };

    if (!peers_each(db, introduces, &search)) {
        output_problem("no-peer",
                       "no peer that answers has invited a unit %s, and there is no file %s;"
                       " invite it by `punitctl unit invite`, or give a file of units",
                       id, id);
        return false;
    }
    return true;
}


unit_address_t *
introduction_list(PGconn *there, const char *certificates, size_t *count)
{
    PGresult *rows =
        database_query(there, NULL, "select id, introduction from punit.invitation order by id", 0,
                       NULL);
    unit_address_t *units;

    *count = 0;
    if (rows == NULL) {
        return NULL;
    }
    units = pool_alloc(((size_t) PQntuples(rows) + 1) * sizeof(*units));
    for (int i = 0; i < PQntuples(rows); i++) {
        *count += invite_introduced(database_field(rows, i, "introduction"), certificates,
                                    database_field(rows, i, "id"), &units[*count]);
    }
    PQclear(rows);
    return units;
}


static bool
mention(void *context, const peer_t *peer)
{
    const char *ignored;
    PGresult   *rows =
        database_query(peer->db, &ignored,
                       "select id from punit.invitation where id <> punit.caller() order by id", 0,
                       NULL);

    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        const char *id = database_field(rows, i, "id");

        if (database_value(context, "select 1 from punit.peer where id = $1", 1, &id) == NULL) {
            output_line("unit %s was invited at %s: `punitctl unit add %s` makes it known here", id,
                        peer->id, id);
        }
    }
    PQclear(rows);
    return false;
}


void
introduction_mention(PGconn *db)
{
    peers_each(db, mention, db);
}
