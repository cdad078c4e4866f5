/*
 * punitctl move, moves.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/database.h"
#include "punitctl/person.h"
#include "punitctl/text.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

static const char *const columns[] = {
    "started_at", "user_id", "from_unit", "to_unit", "phase", "mode", "epoch",
    "rounds", "rows_sent", "bytes", "busy", "pause_ms", "result", "error",
};
#define COLUMNS (sizeof columns / sizeof *columns)

static const char moves_query[] =
    "select date_trunc('second', started_at) as started_at, user_id, from_unit,"
    " to_unit, phase, mode, epoch, rounds, rows_sent, bytes, busy,"
    " round(1000 * extract(epoch from activated_at - fenced_at), 1) as pause_ms,"
    " result, error from (select * from punit.move"
    "   where (finished_at is null or $1::boolean)"
    "   and ($2::uuid is null or user_id = $2)"
    "   order by started_at desc limit 500) m order by m.started_at";

static void print_json(const char *unit, const PGresult *rows)
{
    json_t *moves = json_array();
    json_t *all = json_pack("{s:s, s:o}", "unit", unit, "moves", moves);

    for (int row = 0; row < PQntuples(rows); row++) {
        json_t *move = json_object();

        for (size_t i = 0; i < COLUMNS; i++) {
            const char *value = database_field(rows, row, columns[i]);
            bool number = (i >= 6 && i <= 11);

            json_object_set_new(move, columns[i],
                                value == NULL ? json_null()
                                : i == 11 ? json_real(strtod(value, NULL))
                                : number
                                ? json_integer(strtoll(value, NULL, 10))
                                : json_string(value));
        }
        json_array_append_new(moves, move);
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    puts("");
    json_decref(all);
}

static void print_table(const PGresult *rows)
{
    size_t count = (size_t) PQntuples(rows);
    const char **cells = text_space((count + 1) * COLUMNS * sizeof *cells);

    if (count == 0) {
        say("no moves");
        return;
    }
    memcpy(cells, columns, sizeof columns);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            cells[(row + 1) * COLUMNS + i] =
                database_field(rows, (int) row, columns[i]);
        }
    }
    say_table(cells, count + 1, COLUMNS);
}

int verb_moves(const struct arguments *arguments)
{
    const char *name = argument(arguments, "user");
    bool all = name != NULL || argument(arguments, "all") != NULL;
    const char *values[] = { all ? "true" : "false", NULL };
    PGresult *rows = NULL;
    struct unit unit;
    PGconn *db;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db != NULL && name != NULL) {
        values[1] = person_id(&unit, db, name);
    }
    if (db != NULL && (name == NULL || values[1] != NULL)) {
        rows = database_query(db, NULL, moves_query, 2, values);
    }
    if (rows != NULL && argument(arguments, "json") != NULL) {
        print_json(unit.id, rows);
    } else if (rows != NULL) {
        print_table(rows);
    }
    PQclear(rows);
    PQfinish(db);
    return rows != NULL ? EXIT_OK : EXIT_FAILED;
}

struct landing {
    PGconn *db; /* at the new owner */
    const char *user;
};

static bool landed(void *context)
{
    const struct landing *landing = context;
    const char *state = database_value(
        landing->db, "select state from punit.inspect_user($1)", 1,
        (const char *const[]){ landing->user });

    return state != NULL && strcmp(state, "OWNED") == 0;
}

static int wait_landed(const struct unit *unit, PGconn *db, const char *user,
                       const char *to, const char *seconds)
{
    double limit = wait_seconds(seconds);
    struct landing landing = { .db = db, .user = user };
    const char *reason = "no such peer";
    bool ok;

    if (strcmp(to, unit->id) != 0) {
        const char *pg = database_value(
            db, "select pg from punit.peer where id = $1", 1,
            (const char *const[]){ to });

        landing.db = pg != NULL ? database_open_peer(pg, &reason) : NULL;
        if (landing.db == NULL) {
            return complain("the move is asked for, but %s cannot be watched:"
                            " %s", to, reason);
        }
    }
    ok = wait_until(landed, &landing, limit);
    if (landing.db != db) {
        PQfinish(landing.db);
    }
    if (!ok) {
        return complain("not owned by %s after %g s; it goes on: see `punitctl"
                        " moves` there", to, limit);
    }
    say("%s owns user %s", to, user);
    return EXIT_OK;
}

int verb_move(const struct arguments *arguments)
{
    const char *to = argument(arguments, "to");
    const char *seconds = argument(arguments, "within");
    bool wait = argument(arguments, "wait") != NULL;
    const char *user = NULL, *move = NULL;
    struct unit unit;
    PGconn *db, *mover = NULL;
    int status = EXIT_FAILED;

    if (to == NULL || wait_seconds(seconds) < 0) {
        complain(to == NULL ? "move needs --to UNIT"
                            : "--within: expected seconds");
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db != NULL) {
        user = person_id(&unit, db, arguments->operand[0]);
    }
    if (user != NULL) {
        /* with the rights of the mover, not the superuser's */
        mover = database_open(&unit, "punit_mover", NULL);
    }
    if (mover != NULL) {
        move = database_value(mover, "select punit.request_move($1, $2)", 2,
                              (const char *const[]){ user, to });
    }
    if (move != NULL) {
        say("asked for a move of %s to %s (move %s)", user, to, move);
        status = wait ? wait_landed(&unit, db, user, to, seconds) : EXIT_OK;
    }
    PQfinish(mover);
    PQfinish(db);
    return status;
}
