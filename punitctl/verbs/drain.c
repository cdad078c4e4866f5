/*
 * punitctl drain: moves all users of this unit to others.
 *
 * What is under way is in the database (punit.drain, punit.drain_user): a drain
 * that is cut off goes on with the next call.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "punitctl/text.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

/* Users asked for in advance for each that moves: the movers of the others
 * never wait for this program. */
#define AHEAD 16

#define STEP_NS (250 * 1000 * 1000)
#define LINE_S  5

struct drain {
    PGconn     *db;
    const char *window;
    long        first, left, asked, again;
    double      began;
    bool        json, terminal;
};


static double
now(void)
{
    return punit_clock_fine_ms() / 1e3;
}


static double
rate(const struct drain *drain)
{
    double seconds = now() - drain->began;

    return seconds > 0 ? (double) (drain->first - drain->left) / seconds : 0;
}


/* How far it is: over itself on a terminal, else a line now and then. */
static void
progress(const struct drain *drain, double *said)
{
    long        gone = drain->first - drain->left;
    double      a_second = rate(drain);
    const char *rest =
        a_second > 0 ? text("%.0f s left", (double) drain->left / a_second) : "time left unknown";

    if (drain->json || now() - *said < (drain->terminal ? 0.1 : LINE_S)) {
        return;
    }
    *said = now();
    if (drain->terminal) {
        printf("\r\033[K%ld of %ld users moved, %ld on their way, %.0f/s, %s", gone, drain->first,
               drain->asked, a_second, rest);
        fflush(stdout);
    } else {
        say("%ld of %ld users moved, %ld on their way, %.0f/s, %s", gone, drain->first,
            drain->asked, a_second, rest);
    }
}


/* One step of it; false with the reason said. */
static bool
step(struct drain *drain)
{
    const char *error;
    PGresult   *row =
        database_query(drain->db, &error, "select * from punit.drain_step($1)", 1, &drain->window);

    if (row == NULL) {
        if (drain->terminal) {
            puts("");
        }
        complain("%s; %ld users are left", error, drain->left);
        return false;
    }
    drain->left = strtol(PQgetvalue(row, 0, 0), NULL, 10);
    drain->asked = strtol(PQgetvalue(row, 0, 1), NULL, 10);
    drain->again += strtol(PQgetvalue(row, 0, 2), NULL, 10);
    /* who registers while it runs leaves too */
    drain->first = drain->left > drain->first ? drain->left : drain->first;
    PQclear(row);
    return true;
}


static int
conclude(const struct drain *drain, const char *unit)
{
    double seconds = now() - drain->began;

    if (drain->terminal) {
        puts("");
    }
    if (drain->json) {
        json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "unit", unit, "moved",
                                (json_int_t) (drain->first - drain->left), "left",
                                (json_int_t) drain->left, "asked_again", (json_int_t) drain->again,
                                "seconds", seconds, "rate", rate(drain));

        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
        puts("");
        json_decref(all);
    } else if (drain->left == 0) {
        say("drained: %ld users moved in %.1f s, %.0f/s; nobody comes here"
            " until `punitctl drain %s --end`",
            drain->first, seconds, rate(drain), unit);
    } else {
        complain("%ld users are left after %.0f s; the same call goes on, and"
                 " `punitctl moves` at the other units says what they wait"
                 " for",
                 drain->left, seconds);
    }
    return drain->left == 0 ? EXIT_OK : EXIT_FAILED;
}


static int
run(struct drain *drain, const struct unit *unit, const char *to, bool fast, double limit)
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
        printf("{ \"unit\": \"%s\", \"ended\": %s }\n", unit, was ? "true" : "false");
    } else {
        say(was ? "users may come here again" : "it was not drained");
    }
    return EXIT_OK;
}


int
verb_drain(const struct arguments *arguments)
{
    double       limit = wait_seconds(argument(arguments, "within"));
    struct drain drain = {
        .json = argument(arguments, "json") != NULL,
        .terminal = isatty(STDOUT_FILENO),
    };
    const char *movers;
    struct unit unit;
    int         status;

    if (limit < 0) {
        complain("--within: expected seconds");
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    if (strcmp(arguments->operand[0], unit.id) != 0) {
        return complain("this is unit %s; drain %s there", unit.id, arguments->operand[0]);
    }
    movers = unit_setting(&unit, "PUNIT_MOVERS");
    drain.window = text("%ld", AHEAD * strtol(movers != NULL ? movers : "4", NULL, 10));
    drain.terminal = drain.terminal && !drain.json;
    drain.db = database_open(&unit, "punit_mover", NULL);
    if (drain.db == NULL) {
        return EXIT_FAILED;
    }
    status = argument(arguments, "end") != NULL ? end(drain.db, unit.id, drain.json)
                                                : run(&drain, &unit, argument(arguments, "to"),
                                                      argument(arguments, "fast") != NULL, limit);
    PQfinish(drain.db);
    return status;
}
