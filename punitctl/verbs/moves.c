/*
 * punitctl moves: moves to this unit, under way or finished.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

static const char *const columns[] = {
    "started_at",    "user_id", "from_unit", "to_unit",  "phase",  "mode",
    "epoch",         "rounds",  "rows",      "rows_due", "bytes",  "busy",
    "rows_a_second", "left_s",  "pause_ms",  "audit",    "result", "error",
};
#define COLUMNS (sizeof(columns) / sizeof(*columns))

/* "epoch" .. "pause_ms"; from "left_s" on with a fraction */
enum { FIRST_NUMBER = 6, FIRST_REAL = 13, LAST_NUMBER = 14 };

/* A large round is one transaction. Until it commits, its progress is that of the COPY, whose
 * session the mover names after the user. */
static const char moves_query[] =
    "with m as (select * from punit.move"
    "   where (finished_at is null or $1::boolean)"
    "   and ($2::uuid is null or user_id = $2)"
    "   order by started_at desc limit 500),"
    " running as (select substr(a.application_name, 6) as user_id,"
    "   extract(epoch from clock_timestamp() - a.xact_start) as seconds,"
    "   sum(p.tuples_processed) as n, sum(p.bytes_processed) as bytes"
    "   from pg_stat_activity a left join pg_stat_progress_copy p using (pid)"
    "   where a.application_name like 'move %' and a.xact_start is not null"
    "   group by 1, 2)"
    " select " DATABASE_TIME(
        "m.started_at") " as started_at, m.user_id,"
                        " m.from_unit, m.to_unit, m.phase, m.mode, m.epoch, m.rounds,"
                        " m.rows_sent + coalesce(r.n, 0) as rows, m.rows_due,"
                        " m.bytes + coalesce(r.bytes, 0) as bytes, m.busy,"
                        " round(r.n / nullif(r.seconds, 0)) as rows_a_second,"
                        " round(greatest(m.rows_due - r.n, 0) * r.seconds / nullif(r.n, 0), 1)"
                        " as left_s,"
                        " round(1000 * extract(epoch from m.activated_at - m.fenced_at), 1)"
                        " as pause_ms, m.audit, m.result, m.error"
                        " from m left join running r on r.user_id = m.user_id::text"
                        "   and m.finished_at is null"
                        " order by m.started_at";


static json_t *
as_json(const char *unit, const PGresult *rows)
{
    json_t *moves = json_array();
    json_t *all = json_pack("{s:s, s:o}", "unit", unit, "moves", moves);

    for (int row = 0; row < PQntuples(rows); row++) {
        json_t *move = json_object();

        for (size_t i = 0; i < COLUMNS; i++) {
            const char *value = database_field(rows, row, columns[i]);
            bool        number = i >= FIRST_NUMBER && i <= LAST_NUMBER;
            bool        real = i >= FIRST_REAL && i <= LAST_NUMBER;

            json_object_set_new(move, columns[i],
                                value == NULL ? json_null()
                                : real        ? json_real(strtod(value, NULL))
                                : number      ? json_integer(strtoll(value, NULL, 10))
                                              : json_string(value));
        }
        json_array_append_new(moves, move);
    }
    return all;
}


static void
print_table(const PGresult *rows)
{
    size_t       count = (size_t) PQntuples(rows);
    const char **cells = pool_alloc((count + 1) * COLUMNS * sizeof(*cells));

    if (count == 0) {
        output_line("no moves");
        return;
    }
    memcpy(cells, columns, sizeof(columns));
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            cells[(row + 1) * COLUMNS + i] = database_field(rows, (int) row, columns[i]);
        }
    }
    output_table(cells, count + 1, COLUMNS);
}


/* Prints the moves as they are now. On a terminal a watched list replaces the last one. */
static bool
list(PGconn *db, const unit_t *unit, const char *const *values, bool watch)
{
    PGresult *rows = database_query(db, NULL, moves_query, 2, values);

    if (rows == NULL) {
        return false;
    }
    if (watch && isatty(STDOUT_FILENO)) {
        printf("\033[H\033[2J");
    }
    print_table(rows);
    fflush(stdout);
    if (watch) {
        output_record(as_json(unit->id, rows));
    } else {
        output_json(as_json(unit->id, rows));
    }
    PQclear(rows);
    return true;
}


int
verb_moves(const arguments_t *arguments)
{
    const char *name = arguments_value(arguments, "user");
    bool        all = name != NULL || arguments_value(arguments, "all") != NULL;
    const char *values[] = { all ? "true" : "false", NULL };
    bool        watch = arguments_value(arguments, "watch") != NULL, ok = false;
    unit_t      unit;
    PGconn     *db;

    db = database_open_own(&unit, arguments);
    if (db != NULL && name != NULL) {
        values[1] = user_name_id(&unit, db, name);
    }
    if (db != NULL && (name == NULL || values[1] != NULL)) {
        if (watch) {
            wait_begin();
        }
        ok = list(db, &unit, values, watch);
        while (ok && watch && wait_pause(1)) {
            ok = list(db, &unit, values, watch);
        }
    }
    PQfinish(db);
    return !ok ? EXIT_FAILED : watch ? EXIT_INTERRUPTED : EXIT_OK;
}
