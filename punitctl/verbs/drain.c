/*
 * punitctl drain: moves all users of this unit to others.
 *
 * What a drain asked of units and they have not begun is withdrawn when the drain ends, and when it
 * goes on to another unit.
 *
 * The database keeps the state (punit.drain, punit.drain_user), so the next call continues a drain
 * that was interrupted.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "punitctl/mesh/peers.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

/* Users requested in advance for each one that moves, so that the peers' movers never wait for this
 * program. */
#define AHEAD 16

#define STEP_S 0.25
#define LINE_S 5

/* The rate is that of the last seconds: the first users are the slow ones. */
#define RATE_S  10
#define SAMPLES (4 * RATE_S)

typedef struct {
    double at;
    long   moved;
} sample_t;

typedef struct {
    PGconn     *db;
    const char *window;
    long        first, left, asked, again;
    double      began;
    bool        terminal;
    sample_t    sample[SAMPLES]; /* a ring */
    size_t      samples;
} drain_t;

static double
now(void)
{
    return punit_clock_fine_ms() / 1e3;
}


/* Over all of the drain. */
static double
rate(const drain_t *drain)
{
    double seconds = now() - drain->began;

    return seconds > 0 ? (double) (drain->first - drain->left) / seconds : 0;
}


/* Over the last seconds. */
static double
rate_now(drain_t *drain)
{
    size_t          n = drain->samples < SAMPLES ? drain->samples : SAMPLES;
    sample_t        last = { .at = now(), .moved = drain->first - drain->left };
    const sample_t *oldest = &last;

    for (size_t i = 0; i < n; i++) {
        const sample_t *one = &drain->sample[i];

        oldest = one->at < oldest->at && one->at >= last.at - RATE_S ? one : oldest;
    }
    drain->sample[drain->samples++ % SAMPLES] = last;
    return last.at > oldest->at ? (double) (last.moved - oldest->moved) / (last.at - oldest->at)
                                : 0;
}


/* Shows how far the drain is: in place on a terminal, else by a line now and then. */
static void
progress(drain_t *drain, double *said)
{
    double      a_second = rate_now(drain);
    const char *rest = a_second > 0 ? pool_printf("%.0f s left", (double) drain->left / a_second)
                                    : "time left unknown";
    const char *line;

    if (now() - *said < (drain->terminal ? 0.1 : LINE_S)) {
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


static void
report(const drain_t *drain)
{
    output_json(json_pack("{s:I, s:I, s:I, s:f, s:f}", "moved",
                          (json_int_t) (drain->first - drain->left), "left",
                          (json_int_t) drain->left, "asked_again", (json_int_t) drain->again,
                          "seconds", output_rounded(now() - drain->began), "rate",
                          output_rounded(rate(drain))));
}


static int
conclude(const drain_t *drain, const char *unit)
{
    double seconds = now() - drain->began;

    report(drain);
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


/* Asks a peer to forget what it was asked for: these users, or (NULL) all of this unit's. The
 * number of moves that this ended; -1: peer->problem says why it did not. */
static json_int_t
ask_back(const peers_t *peers, peer_t *peer, const char *users, const char *paced)
{
    const char *values[] = { users, paced, peers->incarnation, peer->incarnation };
    PGresult   *answer = NULL;
    json_int_t  n = -1;

    if (peer->db != NULL) {
        answer = database_query(peer->db, &peer->problem,
                                "select punit.ask_withdraw($1, $2, $3, $4)", 4, values);
    }
    if (answer != NULL) {
        const char *said = database_field(answer, 0, "ask_withdraw");

        if (strncmp(said, "VOID", 4) == 0) {
            peer->problem = said;
        } else {
            n = strtoll(said, NULL, 10);
        }
    }
    PQclear(answer);
    return n;
}


/* Takes back what one unit was asked for. False with the reason printed. */
static bool
withdraw_from(peers_t *peers, const PGresult *asked, int row, json_int_t *withdrawn)
{
    const char *to = database_field(asked, row, "to_unit");
    const char *users = database_field(asked, row, "users");
    peer_t     *peer = peers_find(peers, to);
    const char *here = database_value(peers->unit[0].db, "select punit.withdraw($1, $2)", 2,
                                      (const char *const[]){ to, users });
    json_int_t  there;

    if (here == NULL || peer == NULL) {
        return here != NULL; /* That unit has left. */
    }
    there = ask_back(peers, peer, users, database_field(asked, row, "paced"));
    if (there < 0) {
        output_problem("peer-unreachable", "%s still takes users that it was asked for: %s", to,
                       peer->problem);
        return false;
    }
    *withdrawn += strtoll(here, NULL, 10) + there;
    return true;
}


/* No user is left, but a unit may wait for one who has gone elsewhere. A unit that does not answer
 * waits on, and finds nobody here. */
static void
withdraw_rest(const unit_t *unit, bool fast)
{
    peers_t peers;

    if (!peers_open(&peers, unit)) {
        return;
    }
    for (size_t i = 1; i < peers.count; i++) {
        ask_back(&peers, &peers.unit[i], NULL, fast ? "f" : "t");
    }
    peers_close(&peers);
}


/* Runs a statement that ends the drain or turns it to another unit (`keep`), and takes back what
 * other units were asked for. NULL with the reason printed if the statement failed. */
static const char *
turn(const drain_t *drain, const unit_t *unit, const char *statement, int count,
     const char *const *values, const char *keep, bool *complete, json_int_t *withdrawn)
{
    const char *answer = NULL;
    PGresult   *asked = NULL;
    peers_t     peers;

    if (database_run(drain->db, "begin", 0, NULL)) {
        asked = database_query(drain->db, NULL, "select * from punit.drain_asked($1)", 1, &keep);
        answer = asked != NULL ? database_value(drain->db, statement, count, values) : NULL;
        if (!database_run(drain->db, answer != NULL ? "commit" : "rollback", 0, NULL)) {
            answer = NULL;
        }
    }
    if (answer != NULL && PQntuples(asked) > 0) {
        *complete = peers_open(&peers, unit);
        for (int i = 0; peers.count > 0 && i < PQntuples(asked); i++) {
            *complete = withdraw_from(&peers, asked, i, withdrawn) && *complete;
        }
        peers_close(&peers);
    }
    PQclear(asked);
    return answer;
}


static int
stop_watching(const drain_t *drain, const char *unit)
{
    report(drain);
    output_problem("interrupted",
                   "stopped watching; %s stays drained: %ld left; `punitctl drain %s --end` ends"
                   " it, and the same call watches again",
                   unit, drain->left, unit);
    return EXIT_INTERRUPTED;
}


static int
run(drain_t *drain, const unit_t *unit, const char *to, bool fast, double limit)
{
    const char *values[] = { to, fast ? "f" : "t" };
    json_int_t  withdrawn = 0;
    bool        complete = true;
    double      said = 0;
    const char *owned;

    /* Spread over all peers, what each of them was asked for stays. */
    owned = to == NULL ? database_value(drain->db, "select punit.drain_begin($1, $2)", 2, values)
                       : turn(drain, unit, "select punit.drain_begin($1, $2)", 2, values, to,
                              &complete, &withdrawn);
    if (owned == NULL) {
        return EXIT_FAILED;
    }
    if (withdrawn > 0) {
        output_line("withdrew %lld requests to other units", (long long) withdrawn);
    }
    wait_begin();
    drain->began = now();
    drain->first = drain->left = strtol(owned, NULL, 10);
    output_line("%ld users are here", drain->first);
    do {
        if (!step(drain)) {
            return EXIT_FAILED;
        }
        progress(drain, &said);
        if (drain->left == 0) {
            withdraw_rest(unit, fast);
        }
        if (drain->left == 0 || now() - drain->began >= limit) {
            return conclude(drain, unit->id);
        }
    } while (wait_pause(STEP_S));
    return stop_watching(drain, unit->id);
}


static int
end(const drain_t *drain, const unit_t *unit)
{
    json_int_t  withdrawn = 0;
    bool        complete = true;
    const char *ended =
        turn(drain, unit, "select punit.drain_end()", 0, NULL, NULL, &complete, &withdrawn);
    bool was = ended != NULL && *ended == 't';

    if (ended == NULL) {
        return EXIT_FAILED;
    }
    output_json(json_pack("{s:b, s:I}", "ended", was, "withdrawn", withdrawn));
    if (was) {
        output_line("users may come here again; %lld requests to other units withdrawn",
                    (long long) withdrawn);
    } else {
        output_line("it was not drained");
    }
    return complete ? EXIT_OK : EXIT_FAILED;
}


int
verb_drain(const arguments_t *arguments)
{
    double      limit = wait_within(arguments);
    drain_t     drain = { .terminal = isatty(STDOUT_FILENO) };
    const char *movers;
    unit_t      unit;
    int         status;

    if (limit < 0) {
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
    drain.db = database_open(&unit, "punit_mover", NULL);
    if (drain.db == NULL) {
        return EXIT_FAILED;
    }
    status = arguments_value(arguments, "end") != NULL
                 ? end(&drain, &unit)
                 : run(&drain, &unit, arguments_value(arguments, "to"),
                       arguments_value(arguments, "fast") != NULL, limit);
    PQfinish(drain.db);
    return status;
}
