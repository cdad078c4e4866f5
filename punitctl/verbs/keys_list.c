/*
 * punitctl keys list: public keys of all units, and the units that hold them.
 */
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"


int
verb_keys_list(const arguments_t *arguments)
{
    const char *cells[3 * 300] = { "kid", "since", "held by" };
    unit_t      unit;
    PGresult   *rows;
    json_t     *keys = json_array();
    PGconn     *db;
    int         n = 0;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    rows =
        db == NULL
            ? NULL
            : database_query(
                db, NULL,
                "select k.kid, " DATABASE_TIME(
                    "k.created_at") " as since,"
                                    " (select string_agg(h.origin_unit, ' ' order by h.origin_unit)"
                                    "    from punit.unit_key_held h where h.kid = k.kid) as held"
                                    " from punit.unit_key k order by k.created_at, k.kid limit 299",
                0, NULL);
    for (; rows != NULL && n < PQntuples(rows); n++) {
        cells[3 * n + 3] = database_field(rows, n, "kid");
        cells[3 * n + 4] = database_field(rows, n, "since");
        cells[3 * n + 5] = database_field(rows, n, "held");
        json_array_append_new(keys, json_pack("{s:s, s:s, s:o}", "kid", cells[3 * n + 3], "since",
                                              cells[3 * n + 4], "held_by",
                                              output_words(cells[3 * n + 5])));
    }
    if (rows != NULL) {
        output_table(cells, (size_t) n + 1, 3);
        output_json(json_pack("{s:s, s:o}", "unit", unit.id, "keys", keys));
    }
    PQclear(rows);
    PQfinish(db);
    return rows != NULL ? EXIT_OK : EXIT_FAILED;
}
