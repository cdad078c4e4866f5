/*
 * punitctl drain: moves all users of this unit to others.
 *
 * The database keeps the state (punit.drain, punit.drain_user), so the next call continues a drain
 * that was interrupted.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

/* Users requested in advance for each one that moves, so that the peers' movers never wait for this
 * program. */
#define AHEAD 16

#define STEP_NS (250 * 1000 * 1000)
#define LINE_S  5

typedef struct {
    PGconn     *db;
    const char *window;
    long        first, left, asked, again;
    double      began;
    bool        json, terminal;
} drain_t;


static double
now(void)
{
    return punit_clock_fine_ms() / 1e3;
}


static double
rate(const drain_t *drain)
{
    double seconds = now() - drain->began;

    return seconds > 0 ? (double) (drain->first - drain->left) / seconds : 0;
}


/* Shows how far the drain is: in place on a terminal, else by a line now and then. */
static void
progress(const drain_t *drain, double *said)
{
    double      a_second = rate(drain);
    const char *rest = a_second > 0 ? pool_printf("%.0f s left", (double) drain->left / a_second)
                                    : "time left unknown";
    const char *line;

    if (drain->json || now() - *said < (drain->terminal ? 0.1 : LINE_S)) {
        return;
    }
    *said = now();
    line = pool_printf("%ld of %ld users moved, %ld on their way, %.0f/s, %s",
                       drain->first - drain->left, drain->first, drain->asked, a_second, rest);
    if (drain->terminal) {
        output_progress("%s", line);
    } else {
        output_line("%s", line);
    }
}


/* Does one step of the drain. False with the reason printed. */
static bool
step(drain_t *drain)
{
    const char *error;
    PGresult   *row =
        database_query(drain->db, &error, "select * from punit.drain_step($1)", 1, &drain->window);

    if (row == NULL) {
        output_problem("statement-failed", "%s",
                       pool_printf("%s; %ld users are left", error, drain->left));
        return false;
    }
    drain->left = strtol(PQgetvalue(row, 0, 0), NULL, 10);
    drain->asked = strtol(PQgetvalue(row, 0, 1), NULL, 10);
    drain->again += strtol(PQgetvalue(row, 0, 2), NULL, 10);
    /* Users who register during the drain leave too. */
    drain->first = drain->left > drain->first ? drain->left : drain->first;
    PQclear(row);
    return true;
}


static int
conclude(const drain_t *drain, const char *unit)
{
    double seconds = now() - drain->began;

    if (drain->json) {
        json_t *all =
            json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "unit", unit, "moved",
                      (json_int_t) (drain->first - drain->left), "left", (json_int_t) drain->left,
                      "asked_again", (json_int_t) drain->again, "seconds", output_rounded(seconds),
                      "rate", output_rounded(rate(drain)));

        output_json(all);
    }
    if (drain->left == 0) {
        output_line("drained: %ld users moved in %.1f s, %.0f/s; no user comes here"
                    " until `punitctl drain %s --end`",
                    drain->first, seconds, rate(drain), unit);
    } else {
        output_problem("timed-out",
                       "%ld users are left after %.0f s; the same call goes on, and"
                       " `punitctl moves` at the other units says what they wait"
                       " for",
                       drain->left, seconds);
    }
    return drain->left == 0 ? EXIT_OK : EXIT_FAILED;
}


static int
run(drain_t *drain, const unit_t *unit, const char *to, bool fast, double limit)
{
    const struct timespec pause = { .tv_nsec = STEP_NS };
    const char           *values[] = { to, fast ? "f" : "t" };
    const char *owned = database_value(drain->db, "select punit.drain_begin($1, $2)", 2, values);
    double      said = 0;

    if (owned == NULL) {
        return EXIT_FAILED;
    }
    drain->began = now();
    drain->first = drain->left = strtol(owned, NULL, 10);
    for (;;) {
        if (!step(drain)) {
            return EXIT_FAILED;
        }
        progress(drain, &said);
        if (drain->left == 0 || now() - drain->began >= limit) {
            return conclude(drain, unit->id);
        }
        nanosleep(&pause, NULL);
    }
}


static int
end(PGconn *db, const char *unit, bool json)
{
    const char *ended = database_value(db, "select punit.drain_end()", 0, NULL);
    bool        was = ended != NULL && *ended == 't';

    if (ended == NULL) {
        return EXIT_FAILED;
    }
    if (json) {
        output_json(json_pack("{s:s, s:b}", "unit", unit, "ended", was));
    } else {
        output_line(was ? "users may come here again" : "it was not drained");
    }
    return EXIT_OK;
}


int
verb_drain(const arguments_t *arguments)
{
    double  limit = wait_seconds(arguments_value(arguments, "within"));
    drain_t drain = {
        .json = arguments_value(arguments, "json") != NULL,
        .terminal = isatty(STDOUT_FILENO),
    };
    const char *movers;
    unit_t      unit;
    int         status;

    if (limit < 0) {
        output_error("--within: expected seconds");
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    if (strcmp(arguments->operand[0], unit.id) != 0) {
        return output_problem("wrong-unit", "this is unit %s; drain %s there", unit.id,
                              arguments->operand[0]);
    }
    movers = unit_setting(&unit, "PUNIT_MOVERS");
    drain.window = pool_printf("%ld", AHEAD * strtol(movers != NULL ? movers : "4", NULL, 10));
    drain.terminal = drain.terminal && !drain.json;
    drain.db = database_open(&unit, "punit_mover", NULL);
    if (drain.db == NULL) {
        return EXIT_FAILED;
    }
    status = arguments_value(arguments, "end") != NULL
                 ? end(drain.db, unit.id, drain.json)
                 : run(&drain, &unit, arguments_value(arguments, "to"),
                       arguments_value(arguments, "fast") != NULL, limit);
    PQfinish(drain.db);
    return status;
}
