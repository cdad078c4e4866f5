#include "punitctl/estimate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "punitctl/mesh/peers.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"

/* The messages of a move: PULL, FENCE, RETIRE. */
#define ROUND_TRIPS 3

/* From doc/BENCHMARKS.md: COPY to COPY with verification, and the time of the smallest move. */
#define MS_A_MEBIBYTE 25.0
#define MS_AT_LEAST   10.0


/* The fastest of three round trips; 0 if one failed. */
static double
round_trip_ms(PGconn *db)
{
    double fastest = 0;

    for (int i = 0; i < 3; i++) {
        double began = punit_clock_fine_ms(), took;

        if (!database_run(db, "select", 0, NULL)) {
            return 0;
        }
        took = punit_clock_fine_ms() - began;
        fastest = i == 0 || took < fastest ? took : fastest;
    }
    return fastest;
}


/* The unit that says it owns the user. */
static peer_t *
find_owner(peers_t *peers, const char *user)
{
    const char *list = pool_printf("{%s}", user);

    for (size_t i = 0; i < peers->count; i++) {
        peer_t     *peer = &peers->unit[i];
        const char *state = NULL;

        if (peer->db != NULL) {
            state = database_value(peer->db, "select state from punit.holding($1)", 1, &list);
        }
        if (state != NULL && strcmp(state, "OWNED") == 0) {
            return peer;
        }
    }
    return NULL;
}


static int
print(const char *user, const char *from, const char *to, const PGresult *weight, double trip_ms)
{
    const char *mode = database_field(weight, 0, "mode");
    long long   n = strtoll(database_field(weight, 0, "n"), NULL, 10);
    long long   bytes = strtoll(database_field(weight, 0, "bytes"), NULL, 10);
    double ms = MS_AT_LEAST + ROUND_TRIPS * trip_ms + (double) bytes / (1 << 20) * MS_A_MEBIBYTE;

    output_line("%s from %s to %s: %s, %lld rows, %lld bytes, about %.0f ms", user, from, to, mode,
                n, bytes, ms);
    output_json(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:f}", "user", user, "from", from,
                          "to", to, "mode", mode, "rows", (json_int_t) n, "bytes",
                          (json_int_t) bytes, "round_trip_ms", output_rounded(trip_ms),
                          "estimate_ms", output_rounded(ms)));
    return EXIT_OK;
}


int
estimate_move(const unit_t *unit, const char *user, const char *to)
{
    int         status = EXIT_FAILED;
    PGresult   *copy = NULL, *weight = NULL;
    const char *values[3] = { user }, *list = pool_printf("{%s}", user);
    peer_t     *owner, *target;
    peers_t     peers;

    if (!peers_open(&peers, unit)) {
        return EXIT_FAILED;
    }
    target = peers_find(&peers, to);
    if (target == NULL) {
        output_problem("no-peer", "there is no unit %s", to);
    } else if (target->db == NULL) {
        output_problem("peer-unreachable", "%s: %s", to, target->problem);
    } else if ((owner = find_owner(&peers, user)) == NULL) {
        output_problem("no-user", "no unit that answered owns user %s", user);
    } else if (owner == target) {
        output_problem("refused", "%s owns user %s already", to, user);
    } else {
        copy =
            database_query(target->db, NULL, "select fork, ver from punit.holding($1)", 1, &list);
        values[1] = copy != NULL && PQntuples(copy) > 0 ? database_field(copy, 0, "fork") : NULL;
        values[2] = values[1] != NULL ? database_field(copy, 0, "ver") : "-1";
        weight =
            database_query(owner->db, NULL, "select * from punit.weigh($1, $2, $3)", 3, values);
        if (weight != NULL && PQntuples(weight) == 0) {
            output_problem("no-user", "user %s has just left %s; try again", user, owner->id);
        } else if (weight != NULL) {
            status = print(user, owner->id, to, weight,
                           round_trip_ms(owner == &peers.unit[0] ? target->db : owner->db));
        }
        PQclear(weight);
        PQclear(copy);
    }
    peers_close(&peers);
    return status;
}
