/*
 * punitctl move: asks for a move of a user to another unit.
 */
#include <jansson.h>
#include <string.h>

#include "punitctl/estimate.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

typedef struct {
    PGconn     *db; /* at the new owner */
    const char *user;
    bool        watch; /* its move records can be read */
} landing_t;


static bool
landed(void *context)
{
    const landing_t *landing = context;
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

        output_progress("%s, %s rows%s%s", PQgetvalue(move, 0, 0), PQgetvalue(move, 0, 1),
                        due != NULL ? " of " : "", due != NULL ? due : "");
    }
    PQclear(move);
    return state != NULL && strcmp(state, "OWNED") == 0;
}


static int
wait_landed(const unit_t *unit, PGconn *db, const char *user, const char *to, double limit)
{
    landing_t   landing = { .db = db, .user = user, .watch = true };
    const char *reason = "no such peer";
    bool        ok;

    if (strcmp(to, unit->id) != 0) {
        const char *pg = database_value(db, "select pg from punit.peer where id = $1", 1,
                                        (const char *const[]){ to });

        landing.watch = false;
        landing.db = pg != NULL ? database_open_peer(pg, &reason) : NULL;
        if (landing.db == NULL) {
            return output_problem("peer-unreachable",
                                  "the move is asked for, but %s cannot be watched: %s", to,
                                  reason);
        }
    }
    ok = wait_until(landed, &landing, limit);
    if (landing.db != db) {
        PQfinish(landing.db);
    }
    if (!ok) {
        return output_problem("timed-out",
                              "not owned by %s after %g s, but it goes on; see `punitctl"
                              " moves` there",
                              to, limit);
    }
    output_line("%s owns user %s", to, user);
    return EXIT_OK;
}


int
verb_move(const arguments_t *arguments)
{
    const char *to = arguments_value(arguments, "to");
    double      limit = wait_within(arguments);
    bool        wait = arguments_value(arguments, "wait") != NULL;
    const char *user = NULL, *move = NULL;
    unit_t      unit;
    PGconn     *db, *mover = NULL;
    int         status = EXIT_FAILED;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    if (to == NULL) {
        output_error("move needs --to UNIT");
        return EXIT_USAGE;
    }
    db = database_open_own(&unit, arguments);
    if (db != NULL) {
        user = user_name_id(&unit, db, arguments->operand[0]);
    }
    if (user != NULL && arguments_value(arguments, "dry-run") != NULL) {
        status = estimate_move(&unit, user, to);
        PQfinish(db);
        return status;
    }
    if (user != NULL) {
        /* With the rights of the mover, not the superuser's. */
        mover = database_open(&unit, "punit_mover", NULL);
    }
    if (mover != NULL) {
        move = database_value(mover, "select punit.request_move($1, $2)", 2,
                              (const char *const[]){ user, to });
    }
    if (move != NULL) {
        output_json(json_pack("{s:s, s:s, s:s}", "user", user, "to", to, "move", move));
        output_line("asked for a move of %s to %s (move %s)", user, to, move);
        status = wait ? wait_landed(&unit, db, user, to, limit) : EXIT_OK;
    }
    PQfinish(mover);
    PQfinish(db);
    return status;
}
