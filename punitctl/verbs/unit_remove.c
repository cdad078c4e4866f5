/*
 * punitctl unit remove: a unit leaves the system.
 *
 * At the unit itself, the verb ends all activity (punit.take_leave) and waits until all peers have
 * what the unit wrote. Then it runs at each unit that stays. One of them adopts what the unit wrote
 * (punit.forget_unit), and all remove what led to it. Each step looks at the present state, so an
 * interrupted call can be repeated.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/mesh/mesh.h"
#include "punitctl/mesh/peer_add.h"
#include "punitctl/mesh/peers.h"
#include "punitctl/mesh/subscription.h"
#include "punitctl/pool.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/old_release.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

typedef struct {
    unit_t      unit;
    PGconn     *db;
    const char *id;      /* the unit that leaves */
    const char *pg;      /* its PostgreSQL; NULL: it is no peer */
    const char *adopter; /* NULL: not known yet */
    bool        stopped; /* the operator says that it never comes back */
    double      limit;   /* seconds for each wait */
} removal_t;

/* The value of a statement with one parameter, the unit that leaves. */
static const char *
ask(const removal_t *removal, const char *statement)
{
    return database_value(removal->db, statement, 1, (const char *const[]){ removal->id });
}


static bool
is_true(const char *value)
{
    return value != NULL && *value == 't';
}


/* ---- at the unit that leaves */

typedef struct {
    PGconn     *db;
    const char *obstacles; /* "3 users owned here, ..."; "" none */
    bool        owns, failed;
} leave_t;


static bool
left(void *context)
{
    leave_t  *leave = context;
    PGresult *rows = database_query(leave->db, NULL, "select * from punit.take_leave()", 0, NULL);

    leave->failed = rows == NULL;
    leave->obstacles = "";
    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        const char *what = PQgetvalue(rows, i, 0);

        leave->owns = leave->owns || strncmp(what, "users", 5) == 0;
        leave->obstacles = pool_printf("%s%s%s %s", leave->obstacles, i > 0 ? ", " : "",
                                       PQgetvalue(rows, i, 1), what);
    }
    PQclear(rows);
    /* Waiting does not help against users owned here: they must be drained. */
    return leave->failed || leave->owns || *leave->obstacles == '\0';
}


static bool
take_leave(removal_t *removal)
{
    leave_t leave = { .db = removal->db };

    if (!wait_until(left, &leave, removal->limit)) {
        output_problem("timed-out",
                       "%s; a peer that is down must come back or be removed first:"
                       " `punitctl mesh status`, `punitctl moves --all`",
                       leave.obstacles);
        return false;
    }
    if (leave.failed) {
        return false;
    }
    if (leave.owns) {
        output_problem("refused", "%s; first `punitctl drain %s`", leave.obstacles, removal->id);
        return false;
    }
    output_line("this unit has taken leave: nothing begins here any more");
    if (!mesh_arrive(removal->db, removal->limit, NULL)) {
        output_problem("timed-out",
                       "not all peers have what was written here after %g s; leave"
                       " PostgreSQL running and call again",
                       removal->limit);
        return false;
    }
    output_line("all peers have what it wrote; now `punitctl unit remove %s`"
                " at each of them, then this unit may be stopped",
                removal->id);
    return true;
}


/* ---- at a unit that stays: may the other leave? */


static bool
may_go(removal_t *removal)
{
    const char *reason = "";
    PGconn     *there;

    if (is_true(ask(removal, "select exists (select from punit.unit u where"
                             " u.origin_unit = $1 and u.id = $1"
                             " and u.retired_at is not null)")))
    {
        return true;
    }
    there = database_open_peer(removal->pg, &reason);
    PQfinish(there);
    if (there != NULL) {
        output_problem("refused",
                       "%s runs and has not taken leave; first, at %s, `punitctl"
                       " drain %s` and `punitctl unit remove %s`",
                       removal->id, removal->id, removal->id, removal->id);
        return false;
    }
    if (!removal->stopped) {
        output_problem(
            "peer-unreachable",
            "%s has not taken leave and does not answer (%s); bring it back, or call again"
            " with --stopped if its users were drained and it is stopped for good",
            removal->id, reason);
        return false;
    }
    return true;
}


typedef struct {
    const removal_t *removal;
    const char      *value;
} wait_t;


static bool
owns_none(void *context)
{
    wait_t *wait = context;

    wait->value = ask(wait->removal, "select punit.owned_by($1)");
    return wait->value == NULL || strcmp(wait->value, "0") == 0;
}


static bool
is_drained(const removal_t *removal)
{
    wait_t wait = { .removal = removal };

    if (wait_until(owns_none, &wait, removal->limit)) {
        return wait.value != NULL;
    }
    output_problem("refused",
                   "%s users are owned by %s, as far as is known here; they must be"
                   " moved first (at %s: `punitctl drain %s`; from a backup of it, if"
                   " it is lost)",
                   wait.value, removal->id, removal->id, removal->id);
    return false;
}


/* ---- the unit that adopts */


static bool
hears_nothing(void *context)
{
    const removal_t *removal = context;

    return ask(removal, "select pid from pg_stat_subscription where subname ="
                        " 'punit_from_' || $1 and pid is not null")
           == NULL;
}


/* Ends the subscription: rows that arrived later would not reach the adopter. */
static bool
stop_hearing(removal_t *removal)
{
    const char *name = pool_printf("punit_from_%s", removal->id);

    if (!subscription_exists(removal->db, name)) {
        return true;
    }
    if (!database_run(removal->db,
                      pool_printf("alter subscription %s disable",
                                  database_name(removal->db, name)),
                      0, NULL))
    {
        return false;
    }
    if (!wait_until(hears_nothing, removal, removal->limit)) {
        output_problem("timed-out", "the subscription %s does not end", name);
        return false;
    }
    return true;
}


/* The unit that received most from one that stopped without taking leave. It has all that any unit
 * has, and so it adopts. */
static const char *
most_complete(removal_t *removal)
{
    const char *most = NULL, *lsn = NULL;
    peers_t     peers;
    bool        complete = true;

    if (!peers_open(&peers, &removal->unit)) {
        return NULL;
    }
    for (size_t i = 0; i < peers.count && complete; i++) {
        peer_t   *peer = &peers.unit[i];
        PGresult *row = NULL;

        if (strcmp(peer->id, removal->id) == 0) {
            continue;
        }
        if (peer->db != NULL) {
            row =
                database_query(i == 0 ? removal->db : peer->db, &peer->problem,
                               "select coalesce(lsn, '0/0') as lsn, busy,"
                               " $2::pg_lsn < coalesce(lsn, '0/0') as more"
                               " from punit.heard($1)",
                               2, (const char *const[]){ removal->id, lsn != NULL ? lsn : "0/0" });
        }
        if (row == NULL || is_true(PQgetvalue(row, 0, 1))) {
            output_problem("refused", "%s: %s (nothing was changed); call again", peer->id,
                           row != NULL ? "still hears from it" : peer->problem);
            complete = false;
        } else if (most == NULL || is_true(PQgetvalue(row, 0, 2))
                   || (strcmp(PQgetvalue(row, 0, 0), lsn) == 0 && strcmp(peer->id, most) < 0))
        {
            most = peer->id;
            lsn = pool_printf("%s", PQgetvalue(row, 0, 0));
        }
        PQclear(row);
    }
    peers_close(&peers);
    return complete ? most : NULL;
}


static const char *
choose_adopter(removal_t *removal)
{
    const char *adopter = ask(removal, "select punit.adopter_of($1)");

    if (adopter != NULL) {
        return adopter;
    }
    if (removal->stopped) {
        return most_complete(removal);
    }
    return ask(removal, "select min(u.id collate \"C\") from (select id from"
                        " punit.peer where id <> $1 union select punit.self()) u");
}


static bool
is_adopted(void *context)
{
    const removal_t *removal = context;

    return ask(removal, "select punit.adopter_of($1)") != NULL;
}


/* ---- what it wrote, and what leads to it */


static bool
forget(removal_t *removal)
{
    bool      known = is_true(ask(removal, "select exists (select from punit.unit u"
                                                " where u.origin_unit = $1 and u.id = $1)"));
    bool      here = !known; /* unknown here: there is nothing to adopt */
    PGresult *row;

    if (!known
        && !is_true(ask(removal, "select exists (select from auth.bucket"
                                 " where unit = $1)")))
    {
        return true; /* done by an earlier call */
    }
    if (!may_go(removal) || !is_drained(removal) || !stop_hearing(removal)) {
        return false;
    }
    if (known) {
        removal->adopter = choose_adopter(removal);
        if (removal->adopter == NULL) {
            return false;
        }
        here = strcmp(removal->adopter, removal->unit.id) == 0;
    }
    if (!here && !wait_until(is_adopted, removal, removal->limit)) {
        output_problem("refused",
                       "%s is to adopt what %s wrote and has not; call `punitctl unit"
                       " remove %s` there, then here again",
                       removal->adopter, removal->id, removal->id);
        return false;
    }
    row = database_query(removal->db, NULL, "select * from punit.forget_unit($1, $2)", 2,
                         (const char *const[]){ removal->id, here ? "t" : "f" });
    if (row == NULL) {
        return false;
    }
    if (here) {
        output_line("adopted %s rows of %s: %s is their author now", PQgetvalue(row, 0, 0),
                    removal->id, removal->unit.id);
    } else {
        output_line("what %s wrote is %s's now", removal->id, removal->adopter);
    }
    output_line("removed %s rows of it; %s messages sent again, %s moves"
                " ended, %s buckets of login names dealt to others",
                PQgetvalue(row, 0, 4), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2),
                PQgetvalue(row, 0, 3));
    PQclear(row);
    return true;
}


static bool
is_gone(void *context)
{
    const removal_t *removal = context;
    const char      *sessions =
        ask(removal, "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                     " where usename = 'punit_peer_' || $1");

    return sessions != NULL && strcmp(sessions, "0") == 0;
}


/* Ends its sessions and drops its slot, its role and the messages for it. */
static bool
shut_out(removal_t *removal)
{
    const char *role = database_name(removal->db, pool_printf("punit_peer_%s", removal->id));

    if (ask(removal, "select 1 from pg_roles where rolname = 'punit_peer_' || $1") != NULL
        && !database_run(removal->db, pool_printf("alter role %s nologin", role), 0, NULL))
    {
        return false;
    }
    if (!wait_until(is_gone, removal, removal->limit)) {
        output_problem("timed-out", "sessions of %s do not end", removal->id);
        return false;
    }
    return ask(removal, "select count(pg_drop_replication_slot(slot_name)) from"
                        " pg_replication_slots where slot_name = 'punit_to_'"
                        " || replace($1, '-', '_')")
               != NULL
           && ask(removal, "select punit.drop_peer($1)") != NULL;
}


static bool
remove_here(removal_t *removal)
{
    const char *subscription = pool_printf("punit_from_%s", removal->id);

    if (!forget(removal) || !peer_add_nginx(&removal->unit, removal->db, removal->id)
        || conffile_end(&removal->unit) != EXIT_OK
        || (subscription_exists(removal->db, subscription)
            && !subscription_drop(removal->db, subscription))
        || !shut_out(removal))
    {
        return false;
    }
    output_line("%s is no peer any more: no subscription, slot, role or"
                " upstream",
                removal->id);
    return true;
}


static bool
drop_keys(removal_t *removal)
{
    const char *until;

    if (!keys_drop(&removal->unit, removal->db, &until)) {
        return false;
    }
    if (until != NULL) {
        output_line("its keys stay until its last token ends; the mover removes them after %s",
                    until);
    }
    return true;
}


/* For a unit that is no peer: it was removed, or this unit never knew it. */
static bool
was_removed(removal_t *removal)
{
    if (ask(removal, "select 1 from punit.unit where id = $1"
                     " and retired_at is not null limit 1")
        == NULL)
    {
        output_problem("no-peer", "there is no unit %s here", removal->id);
        return false;
    }
    output_line("%s was removed", removal->id);
    return drop_keys(removal);
}


static bool
run(removal_t *removal)
{
    if (strcmp(removal->id, removal->unit.id) == 0) {
        return take_leave(removal);
    }
    removal->pg = ask(removal, "select pg from punit.peer where id = $1");
    if (removal->pg == NULL) {
        return was_removed(removal);
    }
    return remove_here(removal) && drop_keys(removal);
}


int
verb_unit_remove(const arguments_t *arguments)
{
    removal_t removal = {
        .id = arguments->operand[0],
        .stopped = arguments_value(arguments, "stopped") != NULL,
        .limit = wait_within(arguments),
    };
    bool ok;

    if (removal.limit < 0) {
        return EXIT_USAGE;
    }
    if (!unit_id_check(removal.id)) {
        return EXIT_USAGE;
    }
    if (!unit_open(&removal.unit, arguments) || !old_release_note(&removal.unit)) {
        return EXIT_FAILED;
    }
    conffile_force(arguments_value(arguments, "force") != NULL);
    removal.db = database_open(&removal.unit, "postgres", NULL);
    ok = removal.db != NULL && run(&removal);
    PQfinish(removal.db);
    output_fact("unit", json_string(removal.id));
    output_fact("removed", json_boolean(ok));
    output_fact("adopter", removal.adopter != NULL ? json_string(removal.adopter) : json_null());
    return ok ? EXIT_OK : EXIT_FAILED;
}
