/*
 * punitctl move, moves.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/estimate.h"
#include "punitctl/text.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

static const char *const columns[] = {
    "started_at",    "user_id", "from_unit", "to_unit",  "phase",  "mode",
    "epoch",         "rounds",  "rows",      "rows_due", "bytes",  "busy",
    "rows_a_second", "left_s",  "pause_ms",  "audit",    "result", "error",
};
#define COLUMNS (sizeof columns / sizeof *columns)

/* "epoch" .. "pause_ms"; from "left_s" on with a fraction */
enum { FIRST_NUMBER = 6, FIRST_REAL = 13, LAST_NUMBER = 14 };

/* A large round is one transaction: until it commits its progress is the
 * COPY's, whose session apply.c names after the user. */
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
    " select date_trunc('second', m.started_at) as started_at, m.user_id,"
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


static void
print_json(const char *unit, const PGresult *rows)
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
    json_dumpf(all, stdout, JSON_INDENT(2));
    puts("");
    json_decref(all);
}


static void
print_table(const PGresult *rows)
{
    size_t       count = (size_t) PQntuples(rows);
    const char **cells = text_space((count + 1) * COLUMNS * sizeof *cells);

    if (count == 0) {
        say("no moves");
        return;
    }
    memcpy(cells, columns, sizeof columns);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            cells[(row + 1) * COLUMNS + i] = database_field(rows, (int) row, columns[i]);
        }
    }
    say_table(cells, count + 1, COLUMNS);
}


/* The moves as they are now; over the last list, if it is watched. */
static bool
list(PGconn *db, const struct unit *unit, const char *const *values, bool json, bool watch)
{
    PGresult *rows = database_query(db, NULL, moves_query, 2, values);

    if (rows == NULL) {
        return false;
    }
    if (watch && isatty(STDOUT_FILENO)) {
        printf("\033[H\033[2J");
    }
    if (json) {
        print_json(unit->id, rows);
    } else {
        print_table(rows);
    }
    fflush(stdout);
    PQclear(rows);
    return true;
}


int
verb_moves(const struct arguments *arguments)
{
    const char *name = argument(arguments, "user");
    bool        all = name != NULL || argument(arguments, "all") != NULL;
    const char *values[] = { all ? "true" : "false", NULL };
    bool        json = argument(arguments, "json") != NULL;
    bool        watch = argument(arguments, "watch") != NULL, ok = false;
    struct unit unit;
    PGconn     *db;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db != NULL && name != NULL) {
        values[1] = person_id(&unit, db, name);
    }
    if (db != NULL && (name == NULL || values[1] != NULL)) {
        ok = list(db, &unit, values, json, watch);
        while (ok && watch) {
            sleep(1);
            ok = list(db, &unit, values, json, watch);
        }
    }
    PQfinish(db);
    return ok ? EXIT_OK : EXIT_FAILED;
}

struct landing {
    PGconn     *db; /* at the new owner */
    const char *user;
    bool        watch; /* its records may be read */
};


static bool
landed(void *context)
{
    const struct landing *landing = context;
    const char *state = database_value(landing->db, "select state from punit.inspect_user($1)", 1,
                                       (const char *const[]){ landing->user });
    PGresult   *move = landing->watch ? database_query(landing->db, NULL,
                                                       "select phase, rows_sent, rows_due"
                                                         " from punit.move where user_id = $1"
                                                         " and finished_at is null",
                                                       1, (const char *const[]){ landing->user })
                                      : NULL;

    if (move != NULL && PQntuples(move) > 0) {
        const char *due = database_field(move, 0, "rows_due");

        say_progress("%s, %s rows%s%s", PQgetvalue(move, 0, 0), PQgetvalue(move, 0, 1),
                     due != NULL ? " of " : "", due != NULL ? due : "");
    }
    PQclear(move);
    return state != NULL && strcmp(state, "OWNED") == 0;
}


static int
wait_landed(const struct unit *unit, PGconn *db, const char *user, const char *to,
            const char *seconds, bool quiet)
{
    double         limit = wait_seconds(seconds);
    struct landing landing = { .db = db, .user = user, .watch = true };
    const char    *reason = "no such peer";
    bool           ok;

    if (strcmp(to, unit->id) != 0) {
        const char *pg = database_value(db, "select pg from punit.peer where id = $1", 1,
                                        (const char *const[]){ to });

        landing.watch = false;
        landing.db = pg != NULL ? database_open_peer(pg, &reason) : NULL;
        if (landing.db == NULL) {
            return complain("the move is asked for, but %s cannot be watched:"
                            " %s",
                            to, reason);
        }
    }
    ok = wait_until(landed, &landing, limit);
    if (landing.db != db) {
        PQfinish(landing.db);
    }
    if (!ok) {
        return complain("not owned by %s after %g s; it goes on: see `punitctl"
                        " moves` there",
                        to, limit);
    }
    if (!quiet) {
        say("%s owns user %s", to, user);
    }
    return EXIT_OK;
}


int
verb_move(const struct arguments *arguments)
{
    const char *to = argument(arguments, "to");
    const char *seconds = argument(arguments, "within");
    bool        wait = argument(arguments, "wait") != NULL;
    bool        json = argument(arguments, "json") != NULL;
    const char *user = NULL, *move = NULL;
    struct unit unit;
    PGconn     *db, *mover = NULL;
    int         status = EXIT_FAILED;

    if (to == NULL || wait_seconds(seconds) < 0) {
        complain(to == NULL ? "move needs --to UNIT" : "--within: expected seconds");
        return EXIT_USAGE;
    }
    if (json) {
        say_nothing();
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    if (db != NULL) {
        user = person_id(&unit, db, arguments->operand[0]);
    }
    if (user != NULL && argument(arguments, "dry-run") != NULL) {
        status = weigh(&unit, user, to, json);
        PQfinish(db);
        return status;
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
        if (json) {
            printf("{ \"user\": \"%s\", \"to\": \"%s\", \"move\": \"%s\" }\n", user, to, move);
        } else {
            say("asked for a move of %s to %s (move %s)", user, to, move);
        }
        status = wait ? wait_landed(&unit, db, user, to, seconds, json) : EXIT_OK;
    }
    PQfinish(mover);
    PQfinish(db);
    return status;
}
