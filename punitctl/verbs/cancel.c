/*
 * punitctl cancel: ends the moves of a user at every unit that has a record of one.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/mesh/peers.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"

static const struct {
    const char *answer;
    const char *line;
} meanings[] = {
    { "none", "no move to it" },
    { "cancelled", "cancelled" },
    { "refusing", "cancelled after FENCE: the unit refuses the user, and the old owner serves on" },
    { "moved", "too late: that unit owns the user" },
};


static const char *
cancel_at(const peers_t *peers, peer_t *peer, const char *user)
{
    const char *values[] = { user, peers->incarnation, peer->incarnation };
    bool        here = peer == &peers->unit[0];
    PGresult   *row = NULL;
    const char *answer = NULL;

    if (peer->db != NULL) {
        row = database_query(peer->db, &peer->problem,
                             here ? "select punit.cancel_move($1)"
                                  : "select punit.ask_cancel($1, $2, $3)",
                             here ? 1 : 3, values);
    }
    if (row != NULL) {
        answer = pool_printf("%s", PQgetvalue(row, 0, 0));
    }
    PQclear(row);
    if (answer != NULL && strncmp(answer, "VOID", 4) == 0) {
        peer->problem = answer;
        answer = NULL;
    }
    return answer;
}


static const char *
line_of(const char *answer)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        if (strcmp(meanings[i].answer, answer) == 0) {
            return meanings[i].line;
        }
    }
    return answer;
}


/* All units are asked. At the owner a request for a move may still wait for its delivery. */
int
verb_cancel(const arguments_t *arguments)
{
    bool        ended = false, late = false, complete = true;
    json_t     *units = json_array();
    const char *user = NULL;
    peers_t     peers;
    unit_t      unit;
    PGconn     *db;

    db = database_open_own(&unit, arguments);
    if (db != NULL) {
        user = user_name_id(&unit, db, arguments->operand[0]);
    }
    PQfinish(db);
    if (user == NULL || !peers_open(&peers, &unit)) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < peers.count; i++) {
        peer_t     *peer = &peers.unit[i];
        const char *answer = cancel_at(&peers, peer, user);

        complete = complete && answer != NULL;
        ended = ended
                || (answer != NULL
                    && (strcmp(answer, "cancelled") == 0 || strcmp(answer, "refusing") == 0));
        late = late || (answer != NULL && strcmp(answer, "moved") == 0);
        json_array_append_new(units,
                              json_pack("{s:s, s:s?, s:s?}", "unit", peer->id, "answer", answer,
                                        "problem", answer == NULL ? peer->problem : NULL));
        if (answer == NULL) {
            output_problem("peer-unreachable", "%s: %s", peer->id, peer->problem);
        } else if (strcmp(answer, "none") != 0) {
            output_line("move to %s: %s", peer->id, line_of(answer));
        }
    }
    peers_close(&peers);
    output_json(
        json_pack("{s:s, s:b, s:o}", "user", user, "cancelled", ended && !late, "units", units));
    if (late) {
        output_problem("too-late", "user %s has a new owner already", user);
    } else if (!ended && complete) {
        output_problem("no-move", "user %s has no move to cancel", user);
    }
    return ended && !late && complete ? EXIT_OK : EXIT_FAILED;
}
