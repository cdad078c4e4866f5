/*
 * punitctl keys list: public keys of all units, which of them sign, and the units that hold them.
 */
#include <jansson.h>
#include <string.h>

#include "punitctl/unit/database.h"
#include "punitctl/verb.h"


static const char *const columns[] = { "kid", "created", "signs", "until", "held_by" };
#define COLUMNS (sizeof(columns) / sizeof(*columns))
#define MOST    500

#define CREATED DATABASE_TIME("k.created_at")
#define UNTIL   DATABASE_TIME("e.until")

/* Of the keys of a unit that have no end, the oldest signs: an older one gets its end when another
 * one begins to sign. */
static const char query[] =
    "select k.kid, " CREATED " as created,"
    " case when e.until is not null then 'no'"
    " when k.n = min(k.n) filter (where e.until is null) over (partition by k.origin_unit)"
    " then 'yes' else 'not yet' end as signs,"
    " " UNTIL " as until,"
    " (select string_agg(h.origin_unit, ' ' order by h.origin_unit)"
    " from punit.unit_key_held h where h.kid = k.kid) as held_by"
    " from (select *, substring(kid from '[0-9]+$')::bigint as n from punit.unit_key) k"
    " left join punit.unit_key_end e using (origin_unit, kid)"
    " order by k.created_at desc, k.kid limit 500";


static json_t *
as_json(const PGresult *rows)
{
    json_t *keys = json_array();

    for (int n = 0; n < PQntuples(rows); n++) {
        json_array_append_new(keys, json_pack("{s:s, s:s, s:s, s:s?, s:o}", "kid",
                                              database_field(rows, n, "kid"), "created",
                                              database_field(rows, n, "created"), "signs",
                                              database_field(rows, n, "signs"), "until",
                                              database_field(rows, n, "until"), "held_by",
                                              output_words(database_field(rows, n, "held_by"))));
    }
    return json_pack("{s:o}", "keys", keys);
}


int
verb_keys_list(const arguments_t *arguments)
{
    const char *cells[(MOST + 1) * COLUMNS];
    PGresult   *rows = NULL;
    unit_t      unit;
    PGconn     *db;

    db = database_open_own(&unit, arguments);
    if (db != NULL) {
        rows = database_query(db, NULL, query, 0, NULL);
    }
    PQfinish(db);
    if (rows == NULL) {
        return EXIT_FAILED;
    }
    memcpy(cells, columns, sizeof(columns));
    for (int n = 0; n < PQntuples(rows); n++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            cells[(size_t) (n + 1) * COLUMNS + i] = database_field(rows, n, columns[i]);
        }
    }
    output_table(cells, (size_t) PQntuples(rows) + 1, COLUMNS);
    output_json(as_json(rows));
    PQclear(rows);
    return EXIT_OK;
}
